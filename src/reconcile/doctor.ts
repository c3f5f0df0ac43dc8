/** Collects what `doctor` judges by: the kernel, files, the metadata, and what the programs around say. Changes nothing. */
import os from 'node:os';
import { findNetworkManager } from '../apply/network-manager.ts';
import { chooseBackend } from '../desired/backend.ts';
import { SLOTS } from '../desired/slots.ts';
import type { Answer, Facts, MetadataReading, MetadataWay } from '../doctor/facts.ts';
import { AgentError, errorMessage } from '../errors.ts';
import { describeRoute, describeRule } from '../explain/describe.ts';
import { deviceOf, isOurs, linkName } from '../explain/findings.ts';
import { isKernelsOwn } from '../explain/rules.ts';
import { lookUp } from '../kernel/lookup.ts';
import type { Rtnetlink } from '../kernel/socket.ts';
import { resolveHost } from '../metadata/lookup.ts';
import type { MetadataProvider } from '../metadata/provider.ts';
import { type HostState, MAIN_TABLE } from '../model/host.ts';
import type { NicFacts } from '../model/lookup.ts';
import { type InstanceMetadata, primaryAddress } from '../model/metadata.ts';
import { familyOf, type IfName, type IpAddress, type MacAddress, parseIpAddress } from '../model/net.ts';
import type { Known } from '../model/surroundings.ts';
import { type Observation, observe } from '../observe/observe.ts';
import { observeSurroundings } from '../observe/surroundings.ts';
import { type Explainer, explain, nicFacts } from './explain.ts';

/** Somewhere in the world (TEST-NET-1 of RFC 5737): it is looked up, and nothing is sent. */
const WORLD = '192.0.2.1' as IpAddress;

export interface Examination
  extends Explainer,
    Pick<Facts, 'configText' | 'configProblem' | 'hasDaemon' | 'status'> {
  /** null: nobody is asked, since nobody's configuration says who. */
  readonly provider: MetadataProvider | null;
  /** Of package.json. */
  readonly engines: string;
  /** That the daemon knows of; null otherwise. */
  readonly storageProblem: string | null;
  /** MACs of NICs that are left to the files that somebody wrote. */
  readonly leftToFiles: readonly string[];
}

export async function collectFacts(examination: Examination): Promise<Facts> {
  const { observer, config, provider } = examination;
  const { paths, rtnetlink } = observer;
  const { reading, fetched } = await read(provider);
  const observation = await observe(observer);
  const host = withAnswer(observation.host, fetched);
  const answer = host.state.metadata?.answer;
  const nics = nicFacts(host, config).map((nic) => withDeferral(nic, examination));
  const [way, answers, profiles, surroundings] = await Promise.all([
    provider?.name === 'tencent' ? findWay(examination, answer) : null,
    findAnswers(nics, rtnetlink),
    findProfiles(examination, host),
    observeSurroundings(paths),
  ]);
  const { configText, configProblem, hasDaemon, status, engines } = examination;
  return {
    root: paths.root === '/' ? '' : paths.root,
    config,
    configText,
    configProblem,
    host,
    nics,
    contradictions: answer?.invalid ?? [],
    gateways: gatewaysOf(answer),
    backend: chooseBackend(host, config, answer?.primaryMac ?? null).backend,
    metadata: 'unknown' in reading ? reading : { value: { ...reading.value, way } },
    answers,
    profiles,
    surroundings,
    hasDaemon,
    storageProblem: examination.storageProblem ?? storageProblemOf(observation),
    status,
    slots: SLOTS,
    machine: describeMachine(engines),
  };
}

function describeMachine(engines: string): Facts['machine'] {
  return {
    nodeVersion: process.versions.node,
    engines,
    nodePath: process.execPath,
    cores: os.cpus().length,
    memoryBytes: os.totalmem(),
    today: new Date().toISOString().slice(0, '2026-11-22'.length),
  };
}

interface Reading {
  readonly reading: Known<Omit<MetadataReading, 'way'>>;
  readonly fetched: InstanceMetadata | undefined;
}

async function read(provider: MetadataProvider | null): Promise<Reading> {
  if (provider === null)
    return {
      reading: { unknown: 'the configuration cannot be used, so nobody was asked' },
      fetched: undefined,
    };
  const startedAt = performance.now();
  const elapsed = (): number => performance.now() - startedAt;
  try {
    const fetched = await provider.fetch();
    return { reading: { value: { durationMs: elapsed(), failure: null } }, fetched };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { reading: { value: { durationMs: elapsed(), failure: error.message } }, fetched: undefined };
  }
}

function withDeferral(nic: NicFacts, { leftToFiles }: Examination): NicFacts {
  return leftToFiles.includes(nic.mac) ? { ...nic, leftAlone: nic.leftAlone ?? 'foreign-config' } : nic;
}

/** As if it were remembered already. */
function withAnswer(host: HostState, answer: InstanceMetadata | undefined): HostState {
  if (answer === undefined) return host;
  return { ...host, state: { ...host.state, metadata: { readAt: new Date().toISOString(), answer } } };
}

function storageProblemOf({ parkedState, rejectedState }: Observation): string | null {
  return parkedState ?? rejectedState?.problem ?? null;
}

function gatewaysOf(answer: InstanceMetadata | undefined): ReadonlyMap<MacAddress, IpAddress> {
  return new Map(
    answer?.nics.flatMap(({ mac, gateway }) => (gateway === undefined ? [] : [[mac, gateway] as const])),
  );
}

/** A request from the primary NIC's own address, as the agent asks. */
async function findWay(
  { observer, config }: Examination,
  answer: InstanceMetadata | undefined,
): Promise<MetadataWay | null> {
  const primary = answer?.nics.find(({ mac }) => mac === answer.primaryMac);
  const source = primary && primaryAddress(primary, 4)?.address;
  const address = await findEndpoint(config.metadata);
  if (address === undefined || source === undefined || familyOf(address) !== 4) return null;
  const { forward, world } = await explain({ observer, config }, { destination: address, source });
  const { rule, route } = forward.decision;
  if (forward.answer.kind === 'way' && forward.answer.type === 'local') return null;
  const isForeign = rule !== null && !isKernelsOwn(rule) && !isOurs(rule, world);
  return {
    address,
    link: world.links.find(({ index }) => index === deviceOf(forward)) ?? null,
    foreignRule: isForeign ? `${describeRule(rule)} priority ${rule.priority}` : null,
    route: route === null ? 'cannot be told' : describeRoute(route, (index) => linkName(index, world)),
    mainRoute: route?.table === MAIN_TABLE ? route.destination : null,
  };
}

/** The first of them that has one. */
async function findEndpoint({
  endpoint,
  fallbackEndpoints,
  timeoutMs,
}: Examination['config']['metadata']): Promise<IpAddress | undefined> {
  for (const url of [endpoint, ...fallbackEndpoints]) {
    const { hostname } = new URL(url);
    const address = parseIpAddress(hostname) ?? (await resolveHost(hostname, timeoutMs));
    if (address !== undefined) return address;
  }
  return undefined;
}

async function findAnswers(nics: readonly NicFacts[], rtnetlink: Rtnetlink): Promise<readonly Answer[]> {
  const answers = await Promise.all(
    nics.map(async (nic): Promise<readonly Answer[]> => {
      const own = nic.link.addresses.find(
        ({ address, scope }) => familyOf(address) === 4 && scope === 'global',
      );
      if (own === undefined || !nic.link.up) return [];
      const { address: source } = own;
      const way = await lookUp(rtnetlink, { destination: WORLD, source, input: null });
      const index = way.kind === 'way' ? way.linkIndex : null;
      const leavesBy = nics.find(({ link }) => link.index === index)?.link.ifname ?? null;
      return [{ nic, source, leavesBy }];
    }),
  );
  return answers.flat();
}

async function findProfiles(
  { observer: { paths } }: Examination,
  { links, distribution }: HostState,
): Promise<Facts['profiles']> {
  const none = new Map<IfName, string | null>();
  if (distribution.networkManager?.isInUse !== true) return { value: none };
  try {
    const manager = await findNetworkManager(paths);
    if (manager === null) return { value: none };
    const files = links.map(
      async ({ ifname }) => [ifname, await manager.activeFile(ifname).catch(() => null)] as const,
    );
    return { value: new Map(await Promise.all(files)) };
  } catch (error) {
    return { unknown: errorMessage(error) };
  }
}
