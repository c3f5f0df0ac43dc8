/** The kernel's network state of one namespace as sorted text, without what changes by itself (lifetimes, carrier, counters). */
import { execa } from 'execa';
import * as v from 'valibot';
import { inNamespace } from './netns.ts';

const SYSCTLS = ['rp_filter', 'arp_ignore', 'arp_announce', 'promote_secondaries'];

const LINKS = v.array(
  v.object({
    ifname: v.string(),
    flags: v.array(v.string()),
    mtu: v.number(),
    address: v.optional(v.string()),
    master: v.optional(v.string()),
  }),
);

/** Flags that follow the carrier, which the kernel reports in its own time. */
const VOLATILE_FLAGS = new Set(['LOWER_UP', 'NO-CARRIER', 'M-DOWN']);
/** A link that comes back has another index; lifetimes count down; `tentative` ends with duplicate address detection. */
const VOLATILE_WORDS = /^\d+: +| valid_lft \S+ preferred_lft \S+| tentative| expires \d+sec|\\/g;

/** A section per kind of object, each sorted. */
export async function dumpKernel(namespace: string): Promise<string> {
  const read = (...command: string[]) => readLines(namespace, command);
  const sections = await Promise.all([
    readLinks(namespace),
    read('ip', '-o', 'address', 'show'),
    read('ip', '-4', 'route', 'show', 'table', 'all'),
    read('ip', '-6', 'route', 'show', 'table', 'all'),
    read('ip', '-4', 'rule', 'show'),
    read('ip', '-6', 'rule', 'show'),
    read('sh', '-c', `grep -H '' ${SYSCTLS.map((name) => `/proc/sys/net/ipv4/conf/*/${name}`).join(' ')}`),
  ]);
  const titles = ['links', 'addresses', 'routes', 'routes6', 'rules', 'rules6', 'sysctls'];
  return sections.map((lines, index) => `## ${titles[index]}\n${lines.join('\n')}\n`).join('');
}

async function readLinks(namespace: string): Promise<readonly string[]> {
  const [file, ...args] = inNamespace(namespace, ['ip', '-j', 'link', 'show']);
  const links = v.parse(LINKS, JSON.parse((await execa(file, args)).stdout));
  return links
    .map(({ ifname, flags, mtu, address, master }) => {
      const stable = flags.filter((flag) => !VOLATILE_FLAGS.has(flag));
      return [ifname, address, `mtu ${mtu}`, master && `master ${master}`, stable.join(',')]
        .filter(Boolean)
        .join(' ');
    })
    .toSorted();
}

async function readLines(namespace: string, command: readonly string[]): Promise<readonly string[]> {
  const [file, ...args] = inNamespace(namespace, command);
  const { stdout } = await execa(file, args);
  return stdout
    .split('\n')
    .map((line) => line.replace(VOLATILE_WORDS, '').trim())
    .toSorted();
}
