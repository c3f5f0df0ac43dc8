/** Routes of main that lead connections out by the wrong NIC. */
import { isKeyfile, valueOf } from '../model/files.ts';
import { type HostFile, MAIN_TABLE, type Nexthop, type Route } from '../model/host.ts';
import {
  type Cidr,
  cidrContains,
  defaultCidr,
  FAMILIES,
  type Family,
  formatInterfaceAddress,
  type IpAddress,
  networkOf,
  splitCidr,
} from '../model/net.ts';
import { type Facts, linkName, primaryOf } from './facts.ts';
import { type Finding, type Verdict, verdict } from './findings.ts';
import { profilesOf } from './profiles.ts';
import { appendLine, pathIn } from './shell.ts';

const LINK_LOCAL = '169.254.0.0/16' as Cidr;
/** Of Tencent's service: the first is what most clients ask, the second what one page of the product names. */
const METADATA_ADDRESSES = ['169.254.0.23', '169.254.10.10'] as IpAddress[];
/** RTPROT_KERNEL: made of an address, and gone with it. */
const BY_KERNEL = 2;
/** RTPROT_RA */
const BY_ADVERTISEMENT = 9;

/** One way of a default route. */
interface Leg extends Nexthop {
  readonly route: Route;
}

export function checkDefaults(facts: Facts): Verdict {
  return verdict(...FAMILIES.flatMap((family) => defaultsOf(family, facts)));
}

/** By the cloud's NICs: one by a VPN is what the VPN is for. */
function defaultsOf(family: Family, facts: Facts): readonly Finding[] {
  const legs = legsOf(family, facts);
  const [winner] = legs;
  if (winner === undefined) return [];
  const primary = primaryOf(facts)?.link.index;
  const kept = legs.find(({ linkIndex }) => linkIndex === primary) ?? winner;
  const others = legs.filter(({ linkIndex }) => linkIndex !== kept.linkIndex);
  if (others.length === 0) return [];
  const isLost = winner !== kept;
  const wins = linkName(winner.linkIndex, facts);
  const harm = isLost
    ? `that by ${wins} wins, so metadata and sessions may leave by the wrong NIC`
    : `that by ${wins} wins as long as it is there`;
  return [
    {
      severity: isLost ? 'error' : 'warning',
      title: `${legs.length} default routes of IPv${family} in main: ${harm}`,
      evidence: legs.map((leg) => legText(leg, facts)),
      fix: [...new Set(others.flatMap((leg) => fixOfDefault(leg, kept.linkIndex, facts)))],
    },
  ];
}

/** The winner first. */
function legsOf(family: Family, facts: Facts): readonly Leg[] {
  const isOfCloud = (index: number): boolean =>
    facts.nics.length === 0
      ? facts.host.links.some((link) => link.index === index && link.mac !== null)
      : facts.nics.some(({ link }) => link.index === index);
  return facts.host.routes
    .filter(
      ({ table, type, destination }) =>
        table === MAIN_TABLE && type === 'unicast' && destination === defaultCidr(family),
    )
    .toSorted((a, b) => a.metric - b.metric)
    .flatMap((route) => route.nexthops.map((nexthop) => ({ ...nexthop, route })))
    .filter(({ linkIndex }) => isOfCloud(linkIndex));
}

function legText({ route, gateway, linkIndex }: Leg, facts: Facts): string {
  return `${gatewayText(gateway, linkIndex, facts, 'default')} metric ${route.metric}`;
}

function gatewayText(gateway: IpAddress | null, index: number, facts: Facts, to: string): string {
  return `${to}${gateway === null ? '' : ` via ${gateway}`} dev ${linkName(index, facts)}`;
}

function fixOfDefault(leg: Leg, keptIndex: number, facts: Facts): readonly string[] {
  const { route, linkIndex } = leg;
  const kept = route.nexthops.find((nexthop) => nexthop.linkIndex === keptIndex);
  const ip = route.family === 4 ? 'ip route' : 'ip -6 route';
  const command =
    kept === undefined
      ? `${ip} del ${legText(leg, facts)}`
      : `${ip} replace ${legText({ ...kept, route }, facts)}`;
  const files = profilesOf(linkIndex, facts).flatMap((file) => fixOfFile(file, route.family, facts));
  return [...files, ...fixOfAdvertisement(leg, facts), command];
}

/** What would bring it back at the next boot. */
function fixOfFile(file: HostFile, family: Family, facts: Facts): readonly string[] {
  const path = pathIn(facts, file.path);
  if (isKeyfile(file.path)) return fixOfKeyfile(file, family, facts);
  const key = family === 4 ? 'GATEWAY' : 'IPV6_DEFAULTGW';
  if (valueOf(file, key) !== undefined) return [`sed -i '/^${key}=/d' ${path}`];
  const [leased, setting] =
    family === 4
      ? [valueOf(file, 'BOOTPROTO')?.toLowerCase() === 'dhcp', 'DEFROUTE']
      : [valueOf(file, 'IPV6_AUTOCONF')?.toLowerCase() === 'yes', 'IPV6_DEFROUTE'];
  const isDefault = leased && valueOf(file, setting)?.toLowerCase() !== 'no';
  return isDefault ? [appendLine(facts, file.path, `${setting}=no`)] : [];
}

function fixOfKeyfile(file: HostFile, family: Family, facts: Facts): readonly string[] {
  const path = pathIn(facts, file.path);
  const section = `ipv${family}`;
  const [, text] = file.content.split(new RegExp(`^\\[${section}\\]$`, 'm'));
  if (text === undefined || /^never-default=true$/m.test(text.split(/^\[/m)[0] ?? '')) return [];
  const isInUse = facts.host.distribution.networkManager?.isInUse === true && facts.root === '';
  return [
    `sed -i '/^\\[${section}\\]$/a never-default=true' ${path}`,
    ...(isInUse ? [`nmcli connection load ${path}`] : []),
  ];
}

/** The next advertisement of the router would bring it back. */
function fixOfAdvertisement({ route, linkIndex }: Leg, facts: Facts): readonly string[] {
  if (route.protocol !== BY_ADVERTISEMENT) return [];
  const setting = `net.ipv6.conf.${linkName(linkIndex, facts)}.accept_ra_defrtr`;
  return [
    appendLine(facts, '/etc/sysctl.d/90-accept-ra-defrtr.conf', `${setting} = 0`),
    `sysctl -w ${setting}=0`,
  ];
}

/** A route for link-local addresses by anything but the primary NIC's gateway. */
export function checkLinkLocal(facts: Facts): Verdict {
  const primary = primaryOf(facts)?.link.index;
  const hiding = facts.host.routes.filter(
    ({ table, type, destination, nexthops }) =>
      table === MAIN_TABLE &&
      type === 'unicast' &&
      isOverMetadata(destination) &&
      !nexthops.some(({ linkIndex, gateway }) => linkIndex === primary && gateway !== null),
  );
  return verdict(...hiding.map((route) => linkLocalFinding(route, primary, facts)));
}

/** A smaller network beside the service's addresses is a tunnel's or a container network's own. */
function isOverMetadata(destination: Cidr): boolean {
  return (
    cidrContains(LINK_LOCAL, splitCidr(destination).address) &&
    splitCidr(destination).prefixLength >= splitCidr(LINK_LOCAL).prefixLength &&
    METADATA_ADDRESSES.some((address) => cidrContains(destination, address))
  );
}

function linkLocalFinding(route: Route, primary: number | undefined, facts: Facts): Finding {
  const [leg] = route.nexthops;
  const index = leg?.linkIndex ?? 0;
  const name = linkName(index, facts);
  const text = `${gatewayText(leg?.gateway ?? null, index, facts, route.destination)}${metricText(route)}`;
  const isAnswered = 'value' in facts.metadata && facts.metadata.value.failure === null;
  const isPrimary = index === primary;
  return {
    severity: isPrimary && isAnswered ? 'hint' : 'error',
    title: isPrimary
      ? `${route.destination} is taken for neighbours of ${name}: its gateway, which leads to the metadata service, is not asked`
      : `${route.destination} leads out by ${name}: programs do not reach the metadata service, which answers the primary NIC alone`,
    evidence: [text],
    fix: [...zeroconfFix(facts), ...linkLocalFixes(route, text, facts)],
  };
}

function metricText({ metric }: Route): string {
  return metric === 0 ? '' : ` metric ${metric}`;
}

function linkLocalFixes(route: Route, text: string, { host }: Facts): readonly string[] {
  if (route.protocol !== BY_KERNEL) return [`ip route del ${text}`];
  const [leg] = route.nexthops;
  const link = host.links.find(({ index }) => index === leg?.linkIndex);
  const own = link?.addresses.filter((entry) => networkOf(entry) === route.destination) ?? [];
  return own.map((entry) => `ip addr del ${formatInterfaceAddress(entry)} dev ${link?.ifname}`);
}

/** ifup adds one for every NIC unless it is told not to. */
function zeroconfFix(facts: Facts): readonly string[] {
  const { isZeroconfOff } = facts.surroundings;
  return facts.host.distribution.hasNetworkScripts && 'value' in isZeroconfOff && !isZeroconfOff.value
    ? [appendLine(facts, '/etc/sysconfig/network', 'NOZEROCONF=yes')]
    : [];
}
