/** What can be wrong with the metadata of a VM with three NICs: how it begins, how it ends, and what the agent is to make of it. */
import type { Lab } from './lab.ts';
import type { Fault } from './metadata-server.ts';

/** The NIC that the faults are about; the others have nothing to do with them. */
export const VICTIM_MAC = '02:00:0a:00:02:04';
export const VICTIM_ADDRESSES = ['10.0.2.4', '10.0.2.5'];
/** Assigned to it while something is wrong. */
export const NEW_ADDRESS = '10.0.2.6';

export interface MetadataFault {
  readonly name: string;
  /**
   * `reading`: nothing is known, the last good answer stands. `NIC`: nothing is known of eth2. `nothing`: the answer is understood
   * all the same.
   */
  readonly spoils: 'reading' | 'NIC' | 'nothing';
  /** So long the service asked to be left alone. */
  readonly retryAfterMs?: number;
  readonly begin: (lab: Lab, reload: () => void) => Promise<void>;
  readonly end: (lab: Lab, reload: () => void) => Promise<void>;
}

/** Of the daemon, milliseconds. Long enough beside what a busy machine takes for a run. */
export const INTERVAL_MS = 2_000;
const CONFIG = `daemon: { resyncInterval: 2s }\ninterfaces: [{ match: { role: secondary } }]\n`;
const MACS = 'network/interfaces/macs/';
const NIC = `${MACS}${VICTIM_MAC.toUpperCase()}/`;
const PRIMARY_KEY = `${NIC}local-ipv4s/${VICTIM_ADDRESSES[0]}/`;

const WHOLE_KEYS = ['mac', 'instance-id', MACS];
const NIC_KEYS = [
  `${NIC}local-ipv4s/`,
  `${NIC}primary-local-ipv4`,
  `${PRIMARY_KEY}subnet-mask`,
  `${PRIMARY_KEY}gateway`,
];
const STATUSES = [403, 404, 429, 500, 503];

function served(
  name: string,
  spoils: MetadataFault['spoils'],
  fault: Fault,
  retryAfterMs = 0,
): MetadataFault {
  return {
    name,
    spoils,
    retryAfterMs,
    begin: ({ metadata }) => metadata.fault(fault),
    end: ({ metadata }) => metadata.fault(null),
  };
}

function answering(
  name: string,
  spoils: MetadataFault['spoils'],
  answers: Readonly<Record<string, string>>,
  more: Partial<Fault> = {},
): MetadataFault {
  return served(name, spoils, { mode: 'answers', answers, ...more });
}

const refused: MetadataFault = {
  name: 'connection refused',
  spoils: 'reading',
  begin: ({ metadata }) => metadata.down(),
  end: ({ metadata }) => metadata.up(),
};

const noName: MetadataFault = {
  name: 'the name of the endpoint cannot be resolved',
  spoils: 'reading',
  begin: async ({ vm }, reload) => {
    await vm.writeConfig(
      `${CONFIG}metadata: { endpoint: 'http://metadata.invalid', fallbackEndpoints: [], timeout: 500ms }\n`,
    );
    reload();
  },
  end: async ({ vm }, reload) => {
    await vm.writeConfig(FAULT_CONFIG);
    reload();
  },
};

/** A bridge has a MAC of its own. */
const foreignLink: MetadataFault = {
  name: 'a link that no listing has',
  spoils: 'nothing',
  begin: async ({ vm }) => {
    await vm.run('ip', ['link', 'add', 'foreign0', 'type', 'bridge']);
    await vm.run('ip', ['addr', 'add', '192.168.99.1/24', 'dev', 'foreign0']);
  },
  end: async ({ vm }) => {
    await vm.run('ip', ['link', 'del', 'foreign0']);
  },
};

/** Bodies, whatever the key. */
const EVERYWHERE: readonly MetadataFault[] = [
  refused,
  noName,
  served('no answer at all (time-out)', 'reading', { mode: 'hang' }),
  served('a body that trickles', 'reading', { mode: 'drip' }),
  served('a connection that is closed', 'reading', { mode: 'close' }),
  served('a reset in the middle of the body', 'reading', { mode: 'reset' }),
  served('a body that is cut off', 'reading', { mode: 'truncate' }),
  served('an empty 200', 'reading', { mode: 'empty' }),
  served('HTML with 200 (captive portal)', 'reading', { mode: 'html' }),
  served('a redirect', 'reading', { mode: 'redirect' }),
  served('a huge body', 'reading', { mode: 'huge' }),
  served('binary garbage', 'reading', { mode: 'garbage' }),
  served('503, Retry-After: 2', 'reading', { mode: 'status', status: 503, retryAfter: '2' }, 2_000),
  served('429, Retry-After: 2', 'reading', { mode: 'status', status: 429, retryAfter: '2' }, 2_000),
];

/** The same, for one NIC alone. */
const OF_ONE_NIC: readonly MetadataFault[] = (
  ['hang', 'drip', 'close', 'reset', 'truncate', 'empty', 'html', 'redirect', 'huge', 'garbage'] as const
).map((mode) => served(`${mode}, at each key of eth2`, 'NIC', { mode, mac: VICTIM_MAC }));

const STATUS_AT_EACH_KEY: readonly MetadataFault[] = [
  ...WHOLE_KEYS.flatMap((path) =>
    STATUSES.map((status) =>
      // An instance that has no id is none without metadata.
      served(`${status} at ${path}`, path === 'instance-id' && status === 404 ? 'nothing' : 'reading', {
        mode: 'status',
        status,
        path,
        exact: true,
      }),
    ),
  ),
  ...NIC_KEYS.flatMap((path) =>
    STATUSES.map((status) =>
      served(`${status} at ${path.replace(NIC, 'eth2’s ')}`, 'NIC', {
        mode: 'status',
        status,
        path,
        exact: true,
      }),
    ),
  ),
  served(
    '429, Retry-After: 2, at a key of eth2',
    'NIC',
    { mode: 'status', status: 429, retryAfter: '2', path: `${NIC}primary-local-ipv4`, exact: true },
    2_000,
  ),
];

const GONE_MAC = '02:00:0A:00:03:09';

/** Whole answers, and wrong. */
const LIES: readonly MetadataFault[] = [
  served('eth2 named as the primary NIC', 'reading', {
    mode: 'garbage',
    path: 'mac',
    exact: true,
    body: VICTIM_MAC.toUpperCase(),
  }),
  served('each address twice', 'nothing', { mode: 'twice', path: `${NIC}local-ipv4s/`, exact: true }),
  served('each MAC twice', 'nothing', { mode: 'twice', path: MACS, exact: true }),
  answering('an address outside of the subnet', 'NIC', { [`${NIC}local-ipv4s/`]: '10.0.2.4/\n10.0.7.9/' }),
  answering('a gateway outside of the subnet', 'NIC', { [`${PRIMARY_KEY}gateway`]: '10.0.9.1' }),
  answering('a subnet that covers those of the other NICs', 'nothing', {
    [`${PRIMARY_KEY}subnet-mask`]: '255.255.0.0',
  }),
  answering('an address that eth1 has, too', 'NIC', {
    [`${NIC}primary-local-ipv4`]: '10.0.1.5',
    [`${NIC}local-ipv4s/`]: '10.0.1.5/',
    [`${NIC}local-ipv4s/10.0.1.5/subnet-mask`]: '255.255.255.0',
    [`${NIC}local-ipv4s/10.0.1.5/gateway`]: '10.0.1.1',
  }),
  served('a MAC that no link has', 'nothing', {
    mode: 'more',
    path: MACS,
    exact: true,
    body: `${GONE_MAC}/`,
  }),
  foreignLink,
  served('a listing without eth2, once', 'nothing', {
    mode: 'less',
    path: MACS,
    exact: true,
    body: `${VICTIM_MAC.toUpperCase()}/`,
    times: 1,
  }),
  answering(
    'a listing of eth2 without its second address, once',
    'nothing',
    { [`${NIC}local-ipv4s/`]: '10.0.2.4/' },
    { times: 1 },
  ),
  served('a key that is gone in the middle of each reading', 'nothing', {
    mode: 'status',
    status: 404,
    path: `${PRIMARY_KEY}gateway`,
    exact: true,
    alternately: true,
  }),
];

export const FAULT_CONFIG = `${CONFIG}metadata: { endpoint: 'http://169.254.0.23', fallbackEndpoints: [], timeout: 500ms }\n`;
export const FAULTS: readonly MetadataFault[] = [
  ...EVERYWHERE,
  ...OF_ONE_NIC,
  ...STATUS_AT_EACH_KEY,
  ...LIES,
];
/** One of each sort; daemon-metadata.test.ts has a service that is gone. */
export const FEW_FAULTS: readonly MetadataFault[] = FAULTS.filter(({ name }) =>
  [
    '503, Retry-After: 2',
    'an address outside of the subnet',
    'a key that is gone in the middle of each reading',
  ].includes(name),
);
