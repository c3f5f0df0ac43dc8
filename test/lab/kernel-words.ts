/** What the kernel of a VM has on an interface, in the words of the readers of the distribution's files. */
import { FAMILIES, type Family } from '../../src/model/net.ts';
import type { Wanted } from '../distribution/compare.ts';
import {
  formatRoute,
  formatRule,
  type Link,
  MAIN_TABLE,
  type Meaning,
  parseAddressOf,
  parseCount,
  parseNetwork,
} from '../distribution/meaning.ts';
import type { Vm } from './vm.ts';

const END = '==';
/** Two processes for all of it: every lab ends with this. */
const SCRIPT = `
printf '%s\\n' link address rule 'route show table all' | ip -o -4 -batch -
echo ${END}
printf '%s\\n' address rule 'route show table all' | ip -o -6 -batch -
`;
const LINK = /^\d+: ([^:@\s]+)(?:@\S+)?: <(\S+)>.* link\/\S+ (\S+)/;
const ADDRESS = /^\d+: (\S+) +inet6? (\S+) .*scope global/;
const RULE = /^(\d+):\tfrom (\S+)(?: oif (\S+)(?: \[detached\])?)? lookup (\S+)/;

/** What of the meaning the kernel has; what others added is beside it. undefined where there is no such link that is up. */
export type KernelHas = (link: Link, meaning: Meaning) => Wanted | undefined;

export async function readKernel(vm: Vm): Promise<KernelHas> {
  const { stdout } = await vm.run('sh', ['-ec', SCRIPT]);
  const [ipv4 = [], ipv6 = []] = stdout.split(`${END}\n`).map((text) => text.split('\n'));
  const lines = [...ipv4, ...ipv6];
  const isUp = new Set(
    lines.flatMap((line) => {
      const [, name, flags = '', mac] = LINK.exec(line) ?? [];
      return flags.split(',').includes('UP') ? [`${name} ${mac}`] : [];
    }),
  );
  const addresses = lines.flatMap((line) => {
    const [, name, address = ''] = ADDRESS.exec(line) ?? [];
    return name === undefined ? [] : [{ name, address }];
  });
  const rules = [
    ...new Set([...ipv4.map((line) => ruleOf(line, 4)), ...ipv6.map((line) => ruleOf(line, 6))]),
  ];
  const routes = [...ipv4.map((line) => routeOf(line, 4)), ...ipv6.map((line) => routeOf(line, 6))];
  return ({ name, mac }, meaning) => {
    if (!isUp.has(`${name} ${mac}`)) return undefined;
    const own = addresses.filter((entry) => entry.name === name).map(({ address }) => address);
    return {
      addresses: inTheirOrder(meaning.addresses, own),
      rules: rules.filter((rule) => meaning.rules.includes(rule) || isOwn(rule, meaning)),
      routes: { needed: [], allowed: routes },
    };
  };
}

/** It leads to the table of the NIC, by its name or by an address that the file lists. */
function isOwn(rule: string, { ifname, addresses, routes }: Meaning): boolean {
  const [, source, oif, table] = /from (\S+)(?: oif (\S+))? lookup (\S+)/.exec(rule) ?? [];
  const isOfTable = routes.some((route) => route.endsWith(` table ${table}`));
  return isOfTable && (oif === ifname || addresses.some((entry) => entry.startsWith(`${source}/`)));
}

/**
 * Of the order the first of a family alone counts: an address that was lost and put back is the last of its kernel, which lists
 * IPv6 addresses with the last one first.
 */
function inTheirOrder(meant: readonly string[], found: readonly string[]): readonly string[] {
  const added = [
    ...found.filter((entry) => isOf(4, entry)),
    ...found.filter((entry) => isOf(6, entry)).toReversed(),
  ];
  const common = added.filter((address) => meant.includes(address));
  const firsts = (list: readonly string[]) =>
    FAMILIES.map((family) => list.find((entry) => isOf(family, entry)));
  const hasSameFirsts = firsts(common).every((first, index) => first === firsts(meant)[index]);
  return hasSameFirsts ? meant.filter((address) => common.includes(address)) : common;
}

function isOf(family: Family, address: string): boolean {
  return address.includes(':') === (family === 6);
}

/** '' for any other line. */
function routeOf(line: string, family: Family): string {
  const words = line.split(/\s+/);
  const after = (word: string): string | undefined =>
    words.includes(word) ? words[words.indexOf(word) + 1] : undefined;
  const destination = parseNetwork(words[0] ?? '', family);
  if (destination === undefined) return '';
  const gateway = parseAddressOf(family, after('via') ?? '') ?? null;
  const table = parseCount(after('table')) ?? MAIN_TABLE;
  return formatRoute({ destination, gateway, ifname: after('dev') ?? '', table });
}

/** '' for any other line. */
function ruleOf(line: string, family: Family): string {
  const [, priority, from = '', oif = null, table] = RULE.exec(line) ?? [];
  const source = parseNetwork(from, family);
  if (source === undefined) return '';
  return formatRule({ family, source, oif, table: Number(table), priority: Number(priority) });
}
