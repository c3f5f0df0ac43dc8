/** What a daemon holds: memory, descriptors, netlink sockets, timers. Asked for by a signal, so that production code has nothing for it. */
import { readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import * as v from 'valibot';
import { until } from './until.ts';
import type { Vm } from './vm.ts';

/** Loaded before the program: at SIGUSR2 it writes what it sees after a garbage collection. */
const PROBE = `
const { renameSync, writeFileSync } = require('node:fs');
const v8 = require('node:v8');
v8.setFlagsFromString('--expose-gc');
const collect = require('node:vm').runInNewContext('gc');
process.on('SIGUSR2', () => {
  collect();
  const file = process.env.ENI_INSIGHT;
  const { rss, heapUsed, external } = process.memoryUsage();
  const compiled = v8.getHeapCodeStatistics();
  const code = compiled.code_and_metadata_size + compiled.bytecode_and_metadata_size;
  const resources = process.getActiveResourcesInfo();
  writeFileSync(file + '.tmp', JSON.stringify({ rss, data: heapUsed + external - code, resources }));
  renameSync(file + '.tmp', file);
});
`;

const SEEN = v.object({
  rss: v.number(),
  data: v.number(),
  resources: v.array(v.string()),
});

export interface Insight {
  /** KiB; after a garbage collection. */
  readonly rss: number;
  /** KiB; what no other process shares and the disk does not have. */
  readonly dirty: number;
  /** KiB; without what V8 has compiled, which grows for an hour. */
  readonly heap: number;
  readonly fds: number;
  readonly netlinkSockets: number;
  readonly children: number;
  /** What keeps or may keep its event loop awake, by kind. */
  readonly timers: number;
  readonly requests: number;
}

export interface Probe {
  /** For `startDaemon`. */
  readonly through: readonly string[];
  read(pid: number): Promise<Insight>;
}

export async function installProbe(vm: Vm): Promise<Probe> {
  const [code, file] = [vm.path('/probe.cjs'), vm.path('/insight.json')];
  await writeFile(code, PROBE);
  return {
    through: ['env', `NODE_OPTIONS=--require ${code}`, `ENI_INSIGHT=${file}`],
    read: async (pid) => {
      process.kill(pid, 'SIGUSR2');
      const read = () => readFile(file, 'utf8').catch(() => '');
      const text = await until({
        what: 'the daemon tells what it holds',
        read,
        holds: (seen) => seen !== '',
      });
      await rm(file);
      const { rss, data, resources } = v.parse(SEEN, JSON.parse(text));
      const timers = resources.filter((name) => name === 'Timeout' || name === 'Immediate').length;
      return {
        rss: Math.round(rss / 1024),
        dirty: await privateDirtyOf(pid),
        heap: Math.round(data / 1024),
        ...(await descriptorsOf(pid)),
        children: (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean)
          .length,
        timers,
        requests: resources.length - timers,
      };
    },
  };
}

async function privateDirtyOf(pid: number): Promise<number> {
  const [, kib] =
    /^Private_Dirty: +(\d+) kB$/m.exec(await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  if (kib === undefined) throw new Error(`reading smaps_rollup of ${pid}: it has no Private_Dirty`);
  return Number(kib);
}

const INODE_COLUMN = -1;

async function descriptorsOf(pid: number): Promise<Pick<Insight, 'fds' | 'netlinkSockets'>> {
  const names = await readdir(`/proc/${pid}/fd`);
  const targets = await Promise.all(names.map((name) => readlink(`/proc/${pid}/fd/${name}`).catch(() => '')));
  const table = (await readFile(`/proc/${pid}/net/netlink`, 'utf8')).trim().split('\n').slice(1);
  const inodes = new Set(table.map((line) => `socket:[${line.trim().split(/\s+/).at(INODE_COLUMN)}]`));
  return { fds: names.length, netlinkSockets: targets.filter((target) => inodes.has(target)).length };
}
