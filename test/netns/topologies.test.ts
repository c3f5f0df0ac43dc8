/**
 * Every packet takes the right NIC, whatever the subnets are and whatever else the VM has: containers, a VPN, static routes, an ENI that
 * is somebody else's. docs/topologies.md has the tables; they are made here.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Eni } from '../lab/cloud.ts';
import type { PortCounters } from '../lab/fabric.ts';
import type { Lab } from '../lab/lab.ts';
import { setUp } from '../lab/netns.ts';
import { openLab } from '../lab/open-lab.ts';
import { sized } from '../lab/settled.ts';
import {
  addBranch,
  addContainer,
  addUnmanagedEni,
  addVpn,
  byHand,
  type Change,
  type VpnRoute,
  vpnRoute,
} from '../lab/surroundings.ts';
import { ownColumn, TOPOLOGIES, type Topology, type Traffic, trafficOf } from '../lab/topologies.ts';
import { GATEWAY6, isIpv6, subnetOf, twinOf, withPrefix } from '../lab/topology.ts';
import { type Cell, type Fails, renderTable, surprises } from '../lab/traffic.ts';

const DOCUMENT = path.join(import.meta.dirname, '../../docs/topologies.md');
/** Set: the document is written instead of compared with. */
const IS_WRITTEN = process.env['ENI_WRITE_DOCS'] === '1';

interface Scene {
  readonly topology: Topology;
  readonly rpFilter: 0 | 1;
  /** Where the agent has the IPv6 addresses from, beside those of the metadata; or all of them (`file`). */
  readonly ipv6: 'none' | 'configuration' | 'file';
}

const { separate, withPrimary, secondaries, together } = TOPOLOGIES;
const ONE: readonly Scene[] = [{ topology: withPrimary, rpFilter: 1, ipv6: 'configuration' }];
const ALL: readonly Scene[] = [separate, withPrimary, secondaries, together].flatMap((topology) => [
  { topology, rpFilter: 0, ipv6: 'none' },
  { topology, rpFilter: 1, ipv6: 'none' },
  { topology, rpFilter: 0, ipv6: 'configuration' },
  { topology, rpFilter: 1, ipv6: 'file' },
]);
const EVERYTHING: readonly VpnRoute[] = ['covering', 'halves'];
/** What the VPN pushes beside its subnet, one after the other. */
const PUSHED: readonly (readonly VpnRoute[])[] = sized(
  [EVERYTHING],
  [[], ['covering'], ['halves'], EVERYTHING],
);

describe.each(sized(ONE, ALL))('$topology.name, rp_filter $rpFilter, IPv6 addresses: $ipv6', (scene) => {
  test('every cell passes, and without the agent exactly those fail that need it', async () => {
    const stage = await setTheStage(scene);
    const failed = {
      byHand: await withoutTheAgent(stage),
      ...(await withTheAgent(stage)),
      never: await withoutThePrimary(stage),
    };
    for (const traffic of stage.traffics) await compareWithDocument(scene.topology, traffic, failed);
  });
});

interface Stage {
  readonly lab: Lab;
  readonly scene: Scene;
  /** The primary NIC first. */
  readonly managed: readonly Eni[];
  readonly unmanaged: Eni;
  /** The administrator's static route by eth1. */
  readonly branch: Change;
  /** One for each family. */
  readonly traffics: readonly Traffic[];
}

async function setTheStage(scene: Scene): Promise<Stage> {
  const { topology, rpFilter, ipv6 } = scene;
  const families = ipv6 === 'none' ? ([4] as const) : ([4, 6] as const);
  const lab = await openLab({ rpFilter, ipv6: ipv6 !== 'none' });
  const [ofPrimary = [], ...ofSecondaries] = topology.nics.map((addresses) =>
    ipv6 === 'none' ? addresses : [...addresses, ...addresses.map(twinOf)],
  );
  for (const address of ofPrimary.filter((one) => !isBornWith(one)))
    await lab.assignAddress(lab.primary.mac, address);
  const managed: Eni[] = [{ ...lab.primary, addresses: ofPrimary }];
  for (const addresses of ofSecondaries) managed.push(await lab.attachEni({ addresses }));
  const unmanaged = await addUnmanagedEni(lab);
  await addContainer(lab);
  await addVpn(lab);
  const branch = await addBranch(lab, managed[1] ?? unmanaged, families);
  await inVm(lab, vpnRoute('subnet').up);
  const traffics = families.map((family) => trafficOf({ family, managed, unmanaged }));
  const stage = { lab, scene, managed, unmanaged, branch, traffics };
  await configure(stage);
  return stage;
}

function isBornWith(address: string): boolean {
  return ['10.0.0.4', '2001:db8::4'].includes(address);
}

async function inVm({ vm }: Lab, ip: readonly string[]): Promise<void> {
  await setUp(vm.namespace, { ip });
}

/** `routing` is a section of the file. */
async function configure({ lab, scene, managed, unmanaged }: Stage, routing = ''): Promise<void> {
  const all = [...managed, unmanaged];
  const entries = [
    `  - { match: { mac: '${unmanaged.mac}' }, manage: false }`,
    ...(scene.ipv6 === 'configuration' ? managed : []).map(({ mac, addresses }) => {
      const listed = quoted(addresses.filter(isIpv6));
      return `  - { match: { mac: '${mac}' }, addresses: [${listed}], gateway6: '${GATEWAY6}' }`;
    }),
  ];
  const provider = scene.ipv6 === 'file' ? 'metadata: { provider: file }\n' : '';
  await lab.vm.writeConfig(`interfaces:\n${entries.join('\n')}\n${routing}${provider}`);
  if (scene.ipv6 !== 'file') return;
  const nics = all.map(
    ({ mac, addresses }) =>
      `  - { mac: '${mac}', addresses: [${quoted(addresses)}], gateway: ${subnetOf(addresses[0] ?? '').gateway}, gateway6: '${GATEWAY6}' }`,
  );
  const text = `primaryMac: '${lab.primary.mac}'\ninterfaces:\n${nics.join('\n')}\n`;
  await writeFile(lab.vm.path('/etc/eni-agent/metadata.yaml'), text, { mode: 0o644 });
}

function quoted(addresses: readonly string[]): string {
  return addresses.map((address) => `'${withPrefix(address)}'`).join(', ');
}

/** Everything passes but what must fail, which fails. Returns the cells of the latter. */
async function expectTraffic({ lab, traffics }: Stage, fails: Fails): Promise<Failed> {
  const cells = traffics.flatMap(({ inbound, outbound }) => [...inbound, ...outbound]);
  return expectCells(lab, cells, fails);
}

async function expectCells(lab: Lab, cells: readonly Cell[], fails: Fails): Promise<Failed> {
  expect(await surprises(lab, cells, fails)).toEqual([]);
  return new Set(cells.filter((cell) => cell.flows.some(({ protocol }) => fails(cell, protocol))));
}

type Failed = ReadonlySet<Cell>;

/**
 * The addresses are there and no policy routing is. Main knows one way to each place: packets of a NIC that is not on it leave by
 * another, and the fabric drops them. But an IPv6 echo reply looks for a way by the interface that it was asked by, and finds one where
 * the client is in the NIC's own subnet.
 */
async function withoutTheAgent(stage: Stage): Promise<Failed> {
  const { lab, managed, branch } = stage;
  const missing = managed.map((eni) => ({
    ...eni,
    addresses: eni.addresses.filter((address) => !isBornWith(address)),
  }));
  await inVm(lab, [...missing.flatMap(byHand), ...branch.up]);
  const failed = await expectTraffic(stage, ({ family, nic, way, isNear }, protocol) => {
    const isEchoReply = family === 6 && protocol === 'ping' && isNear;
    return nic !== null && way !== null && way !== nic && !isEchoReply;
  });
  // The primary loses what it was not born with; of a secondary the kernel removes the others with the first.
  await inVm(lab, [
    ...(missing[0]?.addresses ?? []).map((address) => `addr del ${withPrefix(address)} dev eth0`),
    ...managed
      .slice(1)
      .flatMap(({ linkName }) => [`addr flush dev ${linkName}`, `link set ${linkName} down`]),
  ]);
  return failed;
}

async function withTheAgent(stage: Stage): Promise<{ readonly down: Failed; readonly unmarked: Failed }> {
  const { lab, branch } = stage;
  await reconfigured(stage);
  await inVm(lab, branch.up);
  const before = await spoofed(stage);
  for (const names of PUSHED) {
    await inVm(lab, changes(names, 'up'));
    await reconfigured(stage);
    await expectTraffic(stage, () => false);
    await inVm(lab, changes(names, 'down'));
  }
  expect(await spoofed(stage)).toEqual(before);
  await reconfigured(stage);
  const unmarked = await publishedPort(stage);
  return { unmarked, down: await withNicDown(stage) };
}

/** Main knows one way for the container's replies, too; with marks each leaves by the NIC that it was asked by. */
async function publishedPort(stage: Stage): Promise<Failed> {
  const { lab, traffics } = stage;
  const cells = traffics.flatMap(({ published }) => published);
  const unmarked = await expectCells(lab, cells, ({ nic, way }) => way !== nic);
  await configure(stage, 'routing: { forwarded: connmark }\n');
  for (const names of PUSHED) {
    await inVm(lab, changes(names, 'up'));
    await reconfigured(stage);
    expect(await surprises(lab, cells, () => false)).toEqual([]);
    await inVm(lab, changes(names, 'down'));
  }
  await configure(stage);
  await reconfigured(stage);
  return unmarked;
}

function changes(names: readonly VpnRoute[], to: keyof Change): readonly string[] {
  return names.flatMap((name) => vpnRoute(name)[to]);
}

/** It changes what is to be changed; once more, it changes nothing. */
async function reconfigured({ lab }: Stage): Promise<void> {
  expect(await lab.vm.agent(['reconfigure'])).toMatchObject({ exitCode: 0, stderr: '' });
  const before = await lab.vm.snapshot({ identity: true });
  expect((await lab.vm.agent(['reconfigure'])).stdout).toMatch(/^In sync: nothing to change\./m);
  expect(await lab.vm.snapshot({ identity: true })).toBe(before);
}

/** By MAC: in the name of which addresses that are not its own a NIC of ours has sent, and how often. */
async function spoofed({ lab, managed }: Stage): Promise<readonly PortCounters['spoofed'][]> {
  const counters = await lab.portCounters();
  return managed.map(({ mac }) => counters[mac]?.spoofed ?? {});
}

/**
 * While no agent runs. What needs the NIC is refused, and not sent by another; nothing else changes. The kernel keeps the IPv4 addresses
 * of a NIC that is down, so its containers and the VPN are still there for them; the IPv6 ones are gone.
 */
async function withNicDown(stage: Stage): Promise<Failed> {
  const { lab, managed } = stage;
  const victim = managed.at(-1) ?? lab.primary;
  await inVm(lab, [`link set ${victim.linkName} down`]);
  const [source = ''] = victim.addresses;
  const { outcome } = await lab.vm.connectFrom({ to: '203.0.113.250', source });
  expect(outcome).toBe('unreachable');
  return expectTraffic(stage, ({ family, nic, way, column }) =>
    family === 4
      ? nic === victim.linkName && way !== null
      : nic === victim.linkName || column === ownColumn(victim),
  );
}

/** The replies of the primary to neighbours in a subnet of another NIC leave by that one. The NIC that was down is up again. */
async function withoutThePrimary(stage: Stage): Promise<Failed> {
  await configure(stage, 'routing: { primary: never }\n');
  await reconfigured(stage);
  return expectTraffic(stage, ({ nic, way }) => nic === 'eth0' && way !== null && way !== nic);
}

interface Outcome {
  readonly byHand: Failed;
  readonly never: Failed;
  readonly down: Failed;
  readonly unmarked: Failed;
}

async function compareWithDocument(
  topology: Topology,
  { family, inbound, outbound, published }: Traffic,
  { byHand: h, never: n, down: d, unmarked: f }: Outcome,
): Promise<void> {
  const textOf = (cell: Cell): string => {
    const marks = Object.entries({ h, n, d, f }).filter(([, failed]) => failed.has(cell));
    return ['✓', marks.map(([mark]) => mark).join('')].join(' ').trim();
  };
  const heading = `### ${topology.name}, IPv${family}\n`;
  const tables = [
    renderTable('from \\ to', inbound, textOf),
    renderTable('from \\ to', outbound, textOf),
    renderTable('from \\ to the published port of', published, textOf),
  ];
  const section = `${heading}\n${tables.join('\n\n')}\n`;
  const document = await readFile(DOCUMENT, 'utf8');
  const [before = '', after = ''] = document.split(heading);
  const end = after.search(/^##/m);
  const next = end < 0 ? '' : after.slice(end);
  if (IS_WRITTEN) await writeFile(DOCUMENT, `${before}${section}${next === '' ? '' : `\n${next}`}`);
  else expect(`${heading}${end < 0 ? after : after.slice(0, end - 1)}`).toBe(section);
}
