/** The facts of a VM with which nothing is wrong: eth0, the primary, and eth1, managed; each test says what is different. */
import type { Facts } from '../../../src/doctor/facts.ts';
import { judge } from '../../../src/doctor/judge.ts';
import type { Link } from '../../../src/model/host.ts';
import type { NicFacts } from '../../../src/model/lookup.ts';
import type { Surroundings } from '../../../src/model/surroundings.ts';
import { type ConfigText, configOf, type HostText, hostOf, ip, link, macOf } from '../builders.ts';

export const ETH0 = link(1, 'eth0', { addresses: '10.0.0.4/24' });
export const ETH1 = link(2, 'eth1', { addresses: '10.0.1.4/24' });

const SURROUNDINGS: Surroundings = {
  tableNames: { value: [] },
  isCloudInitFree: { value: false },
  otherAgents: { value: [] },
  isZeroconfOff: { value: false },
  translations: { value: [] },
  isForwarding: false,
  denials: { value: [] },
  service: { value: null },
};

export function nicOf(own: Link, rest: Partial<NicFacts> = {}): NicFacts {
  return {
    mac: own.mac ?? macOf(9),
    link: own,
    role: own.ifname === 'eth0' ? 'primary' : 'secondary',
    table: 21_000,
    leftAlone: null,
    listed: own.addresses.map(({ address }) => address),
    excluded: [],
    ...rest,
  };
}

export interface FactsText extends Partial<Omit<Facts, 'host' | 'config' | 'surroundings' | 'machine'>> {
  readonly host?: Partial<HostText>;
  readonly config?: ConfigText;
  readonly surroundings?: Partial<Surroundings>;
  readonly machine?: Partial<Facts['machine']>;
}

export function factsOf({ host, config, surroundings, machine, ...rest }: FactsText = {}): Facts {
  const links = host?.links ?? [ETH0, ETH1];
  return {
    root: '',
    config: configOf(config),
    configText: '',
    configProblem: null,
    host: hostOf({ links, routes: ['default via 10.0.0.1 dev eth0 metric 100'], ...host }),
    nics: links.map((own) => nicOf(own)),
    contradictions: [],
    gateways: new Map([[macOf(2), ip('10.0.1.1')]]),
    backend: 'network-scripts',
    metadata: { value: { durationMs: 4, failure: null, way: null } },
    answers: [],
    profiles: { value: new Map() },
    surroundings: { ...SURROUNDINGS, ...surroundings },
    hasDaemon: { value: true },
    storageProblem: null,
    status: { value: [] },
    slots: 256,
    machine: {
      nodeVersion: '22.12.0',
      engines: '>=20.19.0',
      nodePath: '/usr/bin/node',
      cores: 4,
      memoryBytes: 7.6 * 2 ** 30,
      today: '2026-11-22',
      ...machine,
    },
    ...rest,
  };
}

/** `severity id`, and the fix. */
export function told(text: FactsText): readonly (readonly string[])[] {
  return judge(factsOf(text)).findings.map(({ id, severity, fix }) => [`${severity} ${id}`, ...fix]);
}
