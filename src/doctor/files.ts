/** Files that say what is not so: of NICs that are gone, with gateways that cannot be reached, with names of tables that clash. */
import { isKeyfile, isOriginal, NETWORK_SCRIPTS, subjectOf, valueOf } from '../model/files.ts';
import type { HostFile, Link } from '../model/host.ts';
import {
  addressBits,
  type Cidr,
  cidrContains,
  familyOf,
  type IpAddress,
  networkOf,
  parseInterfaceAddress,
  parseIpAddress,
  parseNetmask,
  splitCidr,
} from '../model/net.ts';
import type { TableName } from '../model/surroundings.ts';
import { type Facts } from './facts.ts';
import { type Finding, notChecked, type Verdict, verdict } from './findings.ts';
import { foreignProfiles, ifcfgName, isStarted, linkOfProfile } from './profiles.ts';
import { deleteLine, pathIn, setAside } from './shell.ts';

/** As the kernel, systemd or biosdevname names hardware. */
const HARDWARE_NAME = /^(?:eth\d+|en[ospx]\w+|em\d+|p\d+p\d+)$/;

export function checkStaleFiles(facts: Facts): Verdict {
  if (facts.host.filesProblem !== undefined) return notChecked(facts.host.filesProblem);
  const stale = foreignProfiles(facts).filter((file) => isStale(file, facts));
  return verdict(...stale.map((file) => staleFinding(file, facts)));
}

/** It is about hardware, is to be started at boot, and there is no such link. */
function isStale(file: HostFile, facts: Facts): boolean {
  const { ifname, mac } = subjectOf(file);
  if (file.isUnreadable === true || !isStarted(file) || linkOfProfile(file, facts) !== undefined)
    return false;
  if (isKeyfile(file.path)) return isEthernetKeyfile(file) && (ifname !== undefined || mac !== undefined);
  const type = valueOf(file, 'TYPE')?.toLowerCase() ?? 'ethernet';
  return type === 'ethernet' && HARDWARE_NAME.test(ifname ?? ifcfgName(file) ?? '');
}

function isEthernetKeyfile({ content }: HostFile): boolean {
  return /^type=(?:ethernet|802-3-ethernet)$/m.test(content);
}

function staleFinding(file: HostFile, facts: Facts): Finding {
  const { ifname, mac } = subjectOf(file);
  const name = ifname ?? ifcfgName(file) ?? mac ?? '';
  const whom = [ifname ?? ifcfgName(file) ?? '', mac ?? ''].filter((word) => word !== '').join(', ');
  const companions = facts.host.files.filter(({ path }) =>
    ['route', 'rule', 'route6', 'rule6'].some((kind) => path === `${NETWORK_SCRIPTS}/${kind}-${name}`),
  );
  return {
    severity: 'warning',
    title: `${file.path} is of a NIC that is gone: it fails at each boot, and the next NIC of that name gets its addresses`,
    evidence: [`it is about ${whom}; there is no such link`],
    fix: isKeyfile(file.path)
      ? [`mv ${pathIn(facts, file.path)} ${pathIn(facts, `${file.path}~`)}`]
      : [file, ...companions].map(({ path }) => setAside(facts, path)),
  };
}

export function checkGateways(facts: Facts): Verdict {
  if (facts.host.filesProblem !== undefined) return notChecked(facts.host.filesProblem);
  const wrong = facts.contradictions.filter(({ problem }) => /gateway \S+ is not in subnet/.test(problem));
  return verdict(
    ...wrong.map(
      ({ mac, problem }): Finding => ({
        severity: 'error',
        title: `the metadata gives ${mac} a gateway outside of its subnet: the NIC is left as it is; tell the cloud's support`,
        evidence: [problem],
        fix: [],
      }),
    ),
    ...facts.host.files.flatMap((file) => gatewaysOf(file, facts)),
  );
}

function gatewaysOf(file: HostFile, facts: Facts): readonly Finding[] {
  const link = linkOfFile(file, facts);
  if (link === undefined) return [];
  const subnets = [...ipv4SubnetsOf(link), ...subnetsIn(file)];
  // Who has single addresses alone has no gateway in a subnet at all.
  if (subnets.every((subnet) => splitCidr(subnet).prefixLength === addressBits(4))) return [];
  return file.content.split('\n').flatMap((line) => {
    const gateway = gatewayIn(line);
    if (gateway === undefined || subnets.some((subnet) => cidrContains(subnet, gateway))) return [];
    return [gatewayFinding({ file, line, gateway, link, subnets }, facts)];
  });
}

function ipv4SubnetsOf({ addresses }: Link): readonly Cidr[] {
  return addresses.filter(({ address }) => familyOf(address) === 4).map(networkOf);
}

interface WrongGateway {
  readonly file: HostFile;
  readonly line: string;
  readonly gateway: IpAddress;
  readonly link: Link;
  readonly subnets: readonly Cidr[];
}

function gatewayFinding({ file, line, gateway, link, subnets }: WrongGateway, facts: Facts): Finding {
  const right = link.mac === null ? undefined : facts.gateways.get(link.permanentMac ?? link.mac);
  const path = pathIn(facts, file.path);
  return {
    severity: 'error',
    title: `${file.path} has the gateway ${gateway}, which is in no subnet of ${link.ifname}: the kernel refuses its route, or nobody answers there`,
    evidence: [line.trim(), `${link.ifname} is in ${[...new Set(subnets)].join(', ')}`],
    fix: [
      right === undefined
        ? deleteLine(facts, file.path, line)
        : `sed -i 's/\\b${gateway.replaceAll('.', '\\.')}\\b/${right}/' ${path}`,
    ],
  };
}

/** Of an ifcfg file, a keyfile or a route file. */
function linkOfFile(file: HostFile, facts: Facts): Link | undefined {
  if (isOriginal(file.path)) return undefined;
  const [, name] = /\/route-([^/]+)$/.exec(file.path) ?? [];
  if (name !== undefined) return facts.host.links.find(({ ifname }) => ifname === name);
  return isKeyfile(file.path) || ifcfgName(file) !== undefined ? linkOfProfile(file, facts) : undefined;
}

/** `GATEWAY=10.0.1.1`, `default via 10.0.1.1`, `gateway=10.0.1.1`, `route1=0.0.0.0/0,10.0.1.1`; undefined for IPv6, and where it says `onlink`. */
function gatewayIn(line: string): IpAddress | undefined {
  if (/^\s*#|\bonlink\b/.test(line)) return undefined;
  const pattern =
    /^GATEWAY\d*=["']?([\d.]+)|\bvia ([\d.]+)|^gateway=([\d.]+)|^(?:route|address)\d+=[\d.]+\/\d+,([\d.]+)/;
  const [, ...groups] = pattern.exec(line) ?? [];
  const found = groups.find(Boolean);
  const address = parseIpAddress(found ?? '');
  return address === ('0.0.0.0' as IpAddress) ? undefined : address;
}

/** IPv4, by the file itself. */
function subnetsIn(file: HostFile): readonly Cidr[] {
  return file.content.split('\n').flatMap((line) => {
    const [, index = '', text = ''] = /^IPADDR(\d*)=["']?([\d.]+)/.exec(line) ?? [];
    const [, keyfile] = /^address\d*=([\d.]+\/\d+)/.exec(line) ?? [];
    const mask = parseNetmask(valueOf(file, `NETMASK${index}`) ?? '');
    const length = valueOf(file, `PREFIX${index}`) ?? mask;
    const parsed = parseInterfaceAddress(keyfile ?? `${text}/${length ?? ''}`);
    return parsed === undefined ? [] : [networkOf(parsed)];
  });
}

export function checkTableNames(facts: Facts): Verdict {
  const { tableNames } = facts.surroundings;
  if ('unknown' in tableNames) return notChecked(tableNames.unknown);
  const names = tableNames.value;
  return verdict(
    ...names.flatMap((entry, index) => {
      const earlier = names.slice(0, index);
      const clash = earlier.find((other) => isClash(entry, other));
      return clash === undefined ? [] : [clashFinding(entry, clash, facts)];
    }),
    ...names.filter(({ number }) => isOfAgent(number, facts)).map((entry) => ownFinding(entry, facts)),
  );
}

function isClash(a: TableName, b: TableName): boolean {
  return (a.number === b.number) !== (a.name === b.name);
}

function clashFinding(entry: TableName, earlier: TableName, facts: Facts): Finding {
  const isName = entry.name === earlier.name;
  return {
    severity: 'warning',
    title: isName
      ? `the table name ${entry.name} stands for ${earlier.number} and for ${entry.number}: which one a command means depends on its version`
      : `table ${entry.number} has the names ${earlier.name} and ${entry.name}: who uses one writes into the other's`,
    evidence: [earlier, entry].map(({ file, text }) => `${file}: ${text}`),
    fix: [deleteLine(facts, entry.file, entry.text)],
  };
}

function isOfAgent(number: number, { config, slots }: Facts): boolean {
  return number >= config.routing.tableBase && number < config.routing.tableBase + slots;
}

function ownFinding(entry: TableName, facts: Facts): Finding {
  const { tableBase } = facts.config.routing;
  return {
    severity: 'warning',
    title: `table ${entry.number} is one of the agent's (${tableBase} to ${tableBase + facts.slots - 1}), and ${entry.file} gives it the name ${entry.name}: what somebody puts there is in its way`,
    evidence: [`${entry.file}: ${entry.text}`],
    fix: [deleteLine(facts, entry.file, entry.text)],
  };
}
