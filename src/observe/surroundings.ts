/** What there is around the agent, for `doctor`. Looks at files, and asks the programs whose answer is in no file; changes nothing. */
import { readdir, readFile } from 'node:fs/promises';
import { errorMessage } from '../errors.ts';
import type { Known, OtherAgent, Surroundings, TableName } from '../model/surroundings.ts';
import { isMissing } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';
import { observeTranslations } from './firewall.ts';
import { observeDenials, observeService } from './services.ts';

const TABLES = '/etc/iproute2/rt_tables';
const CLOUD = '/etc/cloud';
/** The first hides files of the same name in the others (udev(7)). */
const UDEV_FOLDERS = ['/etc/udev/rules.d', '/run/udev/rules.d', '/usr/lib/udev/rules.d', '/lib/udev/rules.d'];
const UNITS = '/etc/systemd/system';

/** By the name of the rule that starts them; docs/migrating.md. */
const RULES_OF_AGENTS: readonly (readonly [pattern: RegExp, agent: string])[] = [
  [/nic[-_]?hotplug/i, 'nic-hotplug'],
  [/cloud-netconfig/, 'cloud-netconfig'],
  [/^53-ec2-network-interfaces\.rules$/, 'ec2-net-utils'],
  [/^99-vpc-policy-routes\.rules$/, 'amazon-ec2-net-utils'],
];
/** The name of its rule is not documented, what it runs is. */
const RUNS_HOTPLUG = /^(?=.*\bnet\b)(?!\s*#).*RUN.*nic[-_]?hotplug/im;
const TIMERS_OF_AGENTS = ['nm-cloud-setup', 'cloud-netconfig'];
/** `network: {config: disabled}`, in one line or in two. */
const NETWORK_DISABLED = /^network:\s*(?:\{\s*)?config:\s*["']?disabled\b/m;

export async function observeSurroundings(paths: Paths): Promise<Surroundings> {
  const [tableNames, isCloudInitFree, otherAgents, isZeroconfOff, translations, forward, denials, service] =
    await Promise.all([
      known(() => readTableNames(paths)),
      known(() => isNetworkOfCloudInit(paths)),
      known(() => findOtherAgents(paths)),
      known(() => readZeroconf(paths)),
      observeTranslations(),
      readFile('/proc/sys/net/ipv4/ip_forward', 'utf8'),
      observeDenials(paths),
      observeService(paths),
    ]);
  return {
    tableNames,
    isCloudInitFree,
    otherAgents,
    isZeroconfOff,
    translations,
    isForwarding: forward.trim() !== '0',
    denials,
    service,
  };
}

async function known<Value>(look: () => Promise<Value>): Promise<Known<Value>> {
  try {
    return { value: await look() };
  } catch (error) {
    return { unknown: errorMessage(error) };
  }
}

/** As ifup-eth looks at it: whatever it is set to. */
async function readZeroconf(paths: Paths): Promise<boolean> {
  return /^\s*NOZEROCONF=./m.test(await read('/etc/sysconfig/network', paths));
}

async function readTableNames(paths: Paths): Promise<readonly TableName[]> {
  const folder = `${TABLES}.d`;
  const names = await namesIn(folder, paths);
  const more = names.filter((name) => name.endsWith('.conf')).map((name) => `${folder}/${name}`);
  const texts = await Promise.all(
    [TABLES, ...more].map(async (file) => ({ file, text: await read(file, paths) })),
  );
  return texts.flatMap(({ file, text }) => text.split('\n').flatMap((line) => parseTableName(file, line)));
}

/** rt_tables holds numbers in decimal or hexadecimal, and anything behind a name is passed over. */
function parseTableName(file: string, text: string): readonly TableName[] {
  const [, number, name] = /^\s*(0x[0-9a-f]+|\d+)\s+([^\s#]+)/i.exec(text) ?? [];
  return number === undefined || name === undefined ? [] : [{ file, text, number: Number(number), name }];
}

async function isNetworkOfCloudInit(paths: Paths): Promise<boolean> {
  const configuration = await read(`${CLOUD}/cloud.cfg`, paths);
  const names = await namesIn(CLOUD, paths);
  if (configuration === '' || names.includes('cloud-init.disabled')) return false;
  const folder = `${CLOUD}/cloud.cfg.d`;
  const more = (await namesIn(folder, paths)).filter((name) => name.endsWith('.cfg'));
  const texts = await Promise.all(more.map((name) => read(`${folder}/${name}`, paths)));
  return ![configuration, ...texts].some((text) => NETWORK_DISABLED.test(text));
}

async function findOtherAgents(paths: Paths): Promise<readonly OtherAgent[]> {
  return [...(await findRules(paths)), ...(await findTimers(paths))];
}

async function findRules(paths: Paths): Promise<readonly OtherAgent[]> {
  const found: OtherAgent[] = [];
  const seen = new Set<string>();
  for (const folder of UDEV_FOLDERS) {
    for (const name of (await namesIn(folder, paths)).filter((name) => name.endsWith('.rules'))) {
      if (seen.has(name)) continue;
      seen.add(name);
      const file = `${folder}/${name}`;
      const text = await read(file, paths);
      const agent = agentOf(name, text);
      if (agent !== undefined) found.push({ name: agent, starter: { kind: 'udev-rule', file } });
    }
  }
  return found;
}

/** An empty rule, as a link to /dev/null is, starts nothing. */
function agentOf(name: string, text: string): string | undefined {
  if (text.trim() === '') return undefined;
  const [, agent] = RULES_OF_AGENTS.find(([pattern]) => pattern.test(name)) ?? [];
  return agent ?? (RUNS_HOTPLUG.test(text) ? 'nic-hotplug' : undefined);
}

async function findTimers(paths: Paths): Promise<readonly OtherAgent[]> {
  const enabled = await namesIn(`${UNITS}/timers.target.wants`, paths);
  // Of these nothing is asked but whether they are there: a unit that is masked is a link to /dev/null.
  const own = await namesIn(UNITS, paths);
  return TIMERS_OF_AGENTS.filter(
    (name) => enabled.includes(`${name}.timer`) && !own.includes(`${name}.timer`),
  ).map((name) => ({
    name,
    starter: {
      kind: 'unit',
      link: `${UNITS}/timers.target.wants/${name}.timer`,
      units: [`${name}.timer`, `${name}.service`],
    },
  }));
}

async function namesIn(folder: string, paths: Paths): Promise<readonly string[]> {
  return orIfMissing([], async () => (await readdir(paths.below(folder))).toSorted());
}

function read(file: string, paths: Paths): Promise<string> {
  return orIfMissing('', () => readFile(paths.below(file), 'utf8'));
}

async function orIfMissing<Value>(otherwise: Value, look: () => Promise<Value>): Promise<Value> {
  try {
    return await look();
  } catch (error) {
    if (isMissing(error)) return otherwise;
    throw error;
  }
}
