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

const END = '==';
/** One shell: every program that is started costs this one more than that one. */
const SCRIPT = [
  'ip -j link show',
  'ip -o address show',
  'ip -4 route show table all',
  'ip -6 route show table all',
  'ip -4 rule show',
  'ip -6 rule show',
  `grep -H '' ${SYSCTLS.map((name) => `/proc/sys/net/ipv4/conf/*/${name}`).join(' ')}`,
].join(`\necho ${END}\n`);
const TITLES = ['addresses', 'routes', 'routes6', 'rules', 'rules6', 'sysctls'];

/** A section per kind of object, each sorted. */
export async function dumpKernel(namespace: string): Promise<string> {
  const [file, ...args] = inNamespace(namespace, ['sh', '-ec', SCRIPT]);
  const { stdout } = await execa(file, args);
  const [links = '', ...texts] = stdout.split(`${END}\n`);
  const sections = [
    section('links', linesOfLinks(links)),
    ...TITLES.map((title, index) => section(title, linesOf(texts[index] ?? ''))),
  ];
  return sections.join('');
}

function section(title: string, lines: readonly string[]): string {
  return `## ${title}\n${lines.toSorted().join('\n')}\n`;
}

function linesOfLinks(json: string): readonly string[] {
  return v.parse(LINKS, JSON.parse(json)).map(({ ifname, flags, mtu, address, master }) => {
    const stable = flags.filter((flag) => !VOLATILE_FLAGS.has(flag));
    return [ifname, address, `mtu ${mtu}`, master && `master ${master}`, stable.join(',')]
      .filter(Boolean)
      .join(' ');
  });
}

function linesOf(text: string): readonly string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(VOLATILE_WORDS, '').trim());
}
