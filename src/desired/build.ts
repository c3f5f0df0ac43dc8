/** From what the cloud says and what the host is to what should be. Pure: the same input gives the same answer. */
import type { Config } from '../model/config.ts';
import type {
  BackendChoice,
  Deferral,
  DesiredFiles,
  DesiredInterface,
  DesiredState,
  NicProblem,
} from '../model/desired.ts';
import { filePaths } from '../model/files.ts';
import type { HostState, Link } from '../model/host.ts';
import type { InstanceMetadata } from '../model/metadata.ts';
import { formatInterfaceAddress, type IpAddress, type MacAddress } from '../model/net.ts';
import type { NicState } from '../model/state.ts';
import type { Templates } from '../model/templates.ts';
import { addressesToSet, excludedNetworks, type KnownNic, listedAddresses } from './addresses.ts';
import { chooseBackend } from './backend.ts';
import { attachedFiles, foreignConfiguration, withdrawnFiles } from './files.ts';
import { nicMark, nicMarks } from './marks.ts';
import { type CloudNic, findLink, formerConfig, joinNics } from './nics.ts';
import { hasReleasedSecondary, releasedInterfaces, WANTS_NOTHING } from './release.ts';
import { renderFiles } from './render.ts';
import { familiesOf, fileRoutes, mainRoutes, tableRoutes } from './routes.ts';
import { fileRules, nicRules } from './rules.ts';
import { chooseSlots, type SlotChoice } from './slots.ts';
import { nicSysctls } from './sysctls.ts';

export interface DesiredInput {
  readonly metadata: InstanceMetadata;
  readonly host: HostState;
  readonly config: Config;
  readonly templates: Templates;
  /** Links that are so new that the metadata may list them yet. */
  readonly awaited?: ReadonlySet<MacAddress>;
}

/** Everything that the parts of one build share. */
interface Build extends DesiredInput {
  readonly cloudNics: readonly CloudNic[];
  readonly managed: readonly KnownNic[];
  readonly listedBy: ReadonlyMap<IpAddress, readonly MacAddress[]>;
  readonly slots: ReadonlyMap<MacAddress, SlotChoice>;
  readonly needsPrimaryRouting: boolean;
  /** That the primary's routing is not needed follows from releases, not from what the metadata stopped listing. */
  readonly isEndedByRelease: boolean;
  /** The files of every NIC that is managed: nobody else's to remove, whatever the NIC of that name was before. */
  readonly claimedPaths: ReadonlySet<string>;
  readonly backend: BackendChoice;
  readonly problems: NicProblem[];
}

export function buildDesired(input: DesiredInput): DesiredState {
  const { host, config, metadata } = input;
  const joined = joinNics(metadata, host, config);
  const putOff = new Set(joined.deferrals.map(({ mac }) => mac));
  const candidates = joined.nics.filter(
    (nic): nic is KnownNic => nic.reading !== null && !putOff.has(nic.mac),
  );
  const { tableBase, protocol } = config.routing;
  const slots = chooseSlots(candidates, host, { tableBase, protocol });
  const left = candidates.flatMap((nic) => leftAlone(nic, input, slots));
  const leftMacs = new Set(left.map(({ mac }) => mac));
  const managed = candidates.filter(({ mac }) => !leftMacs.has(mac));
  const deferrals = [...joined.deferrals, ...left, ...newcomers(input)];
  const claimedPaths = new Set(managed.flatMap(({ link }) => filePaths(link.ifname)));
  const gone = goneNics(input);
  const build: Build = {
    ...input,
    cloudNics: joined.nics,
    managed,
    listedBy: nicsByAddress(managed),
    slots,
    needsPrimaryRouting: needsPrimaryRouting(input, managed, deferrals),
    isEndedByRelease: gone.length === 0 && hasReleasedSecondary(input),
    claimedPaths,
    backend: chooseBackend(host, config, metadata.primaryMac),
    problems: [],
  };
  const interfaces = [
    ...managed.map((nic) => attached(nic, build)),
    ...gone.map((nic) => withdrawn(nic, withdrawnFiles(nic.mac, host, claimedPaths), input)),
    ...releasedInterfaces(input, joined.nics, claimedPaths),
  ];
  return {
    interfaces: interfaces.toSorted((a, b) => a.slot - b.slot),
    deferrals: deferrals.toSorted((a, b) => (a.mac < b.mac ? -1 : 1)),
    problems: build.problems,
    backend: build.backend,
  };
}

function newcomers({ host, awaited = new Set() }: DesiredInput): readonly Deferral[] {
  return host.links.flatMap(({ ifname, mac, permanentMac }) => {
    const identity = permanentMac ?? mac;
    if (identity === null || !awaited.has(identity)) return [];
    const detail = `${ifname} is new, and the metadata does not list it yet`;
    return [{ mac: identity, ifname, reason: 'no-metadata', detail }];
  });
}

function leftAlone(
  nic: KnownNic,
  { host, config }: DesiredInput,
  slots: Build['slots'],
): readonly Deferral[] {
  const { mac, link } = nic;
  const foreign = foreignConfiguration(nic, host, config);
  if (foreign.length > 0) {
    const files = foreign.map(({ path }) => path).join(', ');
    const detail =
      `${files} was not written by eni-agent and is respected; ` +
      'to hand the NIC over (the file is kept as *.orig), put in /etc/eni-agent/config.yaml: persistence: { existingFiles: replace }';
    return [{ mac, ifname: link.ifname, reason: 'foreign-config', detail }];
  }
  if (nic.role === 'primary' && !link.up) {
    return [
      {
        mac,
        ifname: link.ifname,
        reason: 'not-ready',
        detail: `${link.ifname} is down, and the primary NIC is never set up or down`,
      },
    ];
  }
  const inUse = slots.get(mac)?.inUse;
  if (inUse === null || inUse === undefined) return [];
  const detail = `${inUse}; remove it, or choose another routing.tableBase`;
  return [{ mac, ifname: link.ifname, reason: 'table-in-use', detail }];
}

/**
 * The primary needs its table as long as a secondary may have an address: one that is managed now, or one that was and is
 * only put off (what is not known stays as it is).
 */
function needsPrimaryRouting(
  { config, host, metadata }: DesiredInput,
  managed: readonly CloudNic[],
  deferrals: readonly Deferral[],
): boolean {
  if (config.routing.primary !== 'auto') return config.routing.primary === 'always';
  const putOff = deferrals.filter(
    ({ mac, reason }) =>
      reason !== 'released' &&
      mac !== metadata.primaryMac &&
      host.state.nics[mac]?.detachedAt === null &&
      findLink(mac, host.links),
  );
  return putOff.length > 0 || managed.some(({ role }) => role === 'secondary');
}

function attached(nic: KnownNic, build: Build): DesiredInterface {
  const { host, config, cloudNics, managed } = build;
  const slot = build.slots.get(nic.mac)?.slot ?? 0;
  const table = config.routing.tableBase + slot;
  const isRouted = nic.role === 'secondary' || build.needsPrimaryRouting;
  const owned = host.state.nics[nic.mac]?.addresses ?? [];
  const isListedElsewhere = (address: IpAddress): boolean =>
    build.listedBy.get(address)?.some((mac) => mac !== nic.mac) === true;
  build.problems.push(...duplicates(nic));
  const mark = nicMark(nic, build);
  const isInvolved = build.managed.some(({ role }) => role === 'secondary') || addressesToSet(nic).length > 0;
  return {
    mac: nic.mac,
    ifname: nic.link.ifname,
    linkIndex: nic.link.index,
    role: nic.role,
    slot,
    table,
    attached: true,
    released: !isRouted && build.isEndedByRelease ? 'table' : null,
    mtu: nic.config.mtu,
    addresses: addressesToSet(nic),
    excluded: excludedNetworks(nic),
    routes: isRouted ? tableRoutes(nic, { host, config, cloudNics, managed, table }) : [],
    mainRoutes: mainRoutes(nic),
    rules: isRouted ? nicRules(nic, { table, owned, isListedElsewhere, mark }) : [],
    marks: nicMarks(nic, mark),
    sysctls: isInvolved ? nicSysctls(nic, { host, config, cloudNics }) : [],
    files: nic.role === 'secondary' ? renderedFiles(nic, table, build) : null,
  };
}

function duplicates(nic: KnownNic): readonly NicProblem[] {
  const { mac, link } = nic;
  const listed = new Set<string>(listedAddresses(nic).map(({ address }) => address));
  return link.addresses
    .filter(({ address, duplicate }) => duplicate && listed.has(address))
    .map((entry) => ({
      mac,
      message:
        `address ${formatInterfaceAddress(entry)} on ${link.ifname}: another host of the subnet has it (duplicate address ` +
        'detection failed), so the kernel does not use it; take it away there, then here, and it is set anew',
    }));
}

function nicsByAddress(managed: readonly KnownNic[]): Build['listedBy'] {
  const listedBy = new Map<IpAddress, MacAddress[]>();
  for (const nic of managed)
    for (const { address } of listedAddresses(nic)) {
      const macs = listedBy.get(address);
      if (macs === undefined) listedBy.set(address, [nic.mac]);
      else macs.push(nic.mac);
    }
  return listedBy;
}

function renderedFiles(nic: KnownNic, table: number, build: Build): DesiredFiles | null {
  const { filesProblem } = build.host;
  const { backend } = build.backend;
  if (filesProblem !== undefined && build.config.persistence.backend !== 'none')
    build.problems.push({
      mac: nic.mac,
      message: `${filesProblem}; the files of ${nic.link.ifname} stay as they are`,
    });
  if (filesProblem !== undefined) return null;
  if (backend === 'none') {
    // Where nothing reads them for now, what is there stays; the operator's word is another thing.
    const isChosen = build.config.persistence.backend === 'none';
    return isChosen ? { ...attachedFiles(nic, [], build.host, build.claimedPaths), displaced: [] } : null;
  }
  const routes = familiesOf(nic).flatMap((family) => fileRoutes(nic, table, family));
  const rendered = renderFiles(
    {
      ifname: nic.link.ifname,
      mac: nic.mac,
      mtu: nic.config.mtu,
      addresses: addressesToSet(nic),
      routes: [...routes, ...mainRoutes(nic)],
      rules: fileRules(nic, table),
    },
    backend,
    build.templates,
  );
  if ('problem' in rendered) {
    const kept = `the files of ${nic.link.ifname} stay as they are`;
    build.problems.push({ mac: nic.mac, message: `${rendered.problem}; ${kept}` });
    return null;
  }
  return attachedFiles(nic, rendered.files, build.host, build.claimedPaths);
}

interface GoneNic {
  readonly mac: MacAddress;
  readonly nic: NicState;
  readonly link: Link | undefined;
}

/** NICs that we set up and that the metadata does not list any more, unless the operator has taken them from us. */
function goneNics({ metadata, host, config }: DesiredInput): readonly GoneNic[] {
  const listed = new Set<string>([...metadata.nics, ...metadata.invalid].map(({ mac }) => mac));
  return Object.entries(host.state.nics)
    .filter(([mac, { detachedAt }]) => detachedAt === null && !listed.has(mac))
    .filter(([mac]) => !host.state.released.some((released) => released === mac))
    .map(([mac, nic]) => ({ mac: mac as MacAddress, nic, link: findLink(mac as MacAddress, host.links) }))
    .filter(({ mac, link }) => link === undefined || formerConfig(mac, host, config).manage !== false);
}

function withdrawn(
  { mac, nic, link }: GoneNic,
  files: DesiredFiles,
  { config, host }: DesiredInput,
): DesiredInterface {
  return {
    mac,
    ifname: link?.ifname ?? nic.ifname,
    linkIndex: link?.index ?? null,
    role: 'secondary',
    slot: nic.slot,
    table: config.routing.tableBase + nic.slot,
    released: null,
    excluded: formerConfig(mac, host, config).excludeAddresses,
    files,
    ...WANTS_NOTHING,
  };
}
