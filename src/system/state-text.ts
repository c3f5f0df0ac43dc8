/**
 * The text of a state file: versioned, and with a checksum, so that a bit that has rotted is not taken for a decision of ours.
 * Nothing is read or written here.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import type { MacAddress } from '../model/net.ts';
import { parseCidr, parseIfName, parseIpAddress, parseMacAddress } from '../model/net.ts';
import { printableLine } from '../model/printable.ts';
import { type AgentState, type NicState, OUTCOMES, TRIGGERS } from '../model/state.ts';
import { isInterfaceAddress, parsedText } from './schema.ts';

/** 1 had no checksum, and is read. */
const VERSION = 2;

const mac = parsedText(parseMacAddress, 'a MAC address');
const ip = parsedText(parseIpAddress, 'an IP address');
const prefixLength = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(128));
const address = v.pipe(
  v.object({ address: ip, prefixLength }),
  v.check((entry) => isInterfaceAddress(entry), 'no such prefix length'),
);
const ownedNumber = v.pipe(v.number(), v.integer());
const ownedValue = v.object({ before: ownedNumber, value: ownedNumber });

const nicState = v.object({
  slot: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(255)),
  ifname: parsedText(parseIfName, 'an interface name'),
  detachedAt: v.nullable(v.pipe(v.string(), v.isoTimestamp())),
  addresses: v.array(address),
  routes: v.array(v.object({ to: parsedText(parseCidr, 'a network'), via: ip })),
  sysctls: v.exactOptional(
    v.strictObject({
      rp_filter: v.exactOptional(ownedValue),
      arp_ignore: v.exactOptional(ownedValue),
      arp_announce: v.exactOptional(ownedValue),
      promote_secondaries: v.exactOptional(ownedValue),
    }),
    {},
  ),
  mtu: v.nullable(ownedValue),
  files: v.array(v.string()),
});

const nicMetadata = v.object({
  mac,
  addresses: v.pipe(v.array(address), v.minLength(1)),
  gateway: v.exactOptional(ip),
  gateway6: v.exactOptional(ip),
});

const stateFile = v.object({
  metadata: v.nullable(
    v.object({
      readAt: v.pipe(v.string(), v.isoTimestamp()),
      answer: v.object({
        instanceId: v.nullable(v.string()),
        primaryMac: mac,
        nics: v.array(nicMetadata),
        invalid: v.array(v.object({ mac, problem: v.string() })),
      }),
    }),
  ),
  nics: v.array(v.object({ mac, ...nicState.entries })),
  // Files from before `release` have none.
  released: v.exactOptional(v.array(mac), []),
  hasMarks: v.exactOptional(v.boolean(), false),
  lapsed: v.exactOptional(
    v.nullable(v.object({ at: v.string(), configuration: v.string(), steps: v.array(v.string()) })),
    null,
  ),
  lastRun: v.nullable(
    v.object({
      at: v.string(),
      trigger: v.picklist(TRIGGERS),
      outcome: v.picklist(OUTCOMES),
      steps: v.number(),
      durationMs: v.number(),
      failures: v.array(v.object({ mac, message: v.string() })),
    }),
  ),
  parked: v.exactOptional(v.string()),
});

export type ParsedState =
  | {
      readonly state: AgentState;
      /** Why it is kept in /run. */
      readonly parked?: string;
    }
  | {
      readonly problem: string;
      /** What is put behind the name of a file that is set aside. */
      readonly suffix: string;
    };

export function parseStateText(text: string): ParsedState {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return corrupt('it is not JSON (truncated?)');
  }
  if (typeof json !== 'object' || json === null) return corrupt('it is no JSON object');
  const { checksum, ...body } = json as { readonly checksum?: unknown; readonly version?: unknown };
  const { version } = body;
  if (typeof version === 'number' && version > VERSION) {
    const problem = `it is of version ${version}, and this agent knows version ${VERSION}`;
    return { problem, suffix: `version-${version}` };
  }
  if (version !== 1 && version !== VERSION) return corrupt('version: there is none that is known');
  if (version === VERSION && !isIntact(body, checksum))
    return corrupt('its checksum is not that of its content (a bad disk, or an edit by hand)');
  const result = v.safeParse(stateFile, body);
  if (!result.success) {
    const [issue] = result.issues;
    return corrupt(printableLine(`${v.getDotPath(issue) ?? 'it'}: ${issue.message}`));
  }
  const { parked, ...state } = result.output;
  const nics: Record<MacAddress, NicState> = Object.fromEntries(
    state.nics.map(({ mac: key, ...nic }) => [key, nic]),
  );
  return { state: { ...state, nics }, ...(parked === undefined ? {} : { parked }) };
}

function corrupt(problem: string): ParsedState {
  return { problem, suffix: 'corrupt' };
}

/** `parked`: why it is written to /run. */
export function formatState(state: AgentState, parked?: string): string {
  const nics = Object.entries(state.nics)
    .toSorted(([, a], [, b]) => a.slot - b.slot)
    .map(([key, nic]) => ({ mac: key, ...nic }));
  const body = { version: VERSION, ...(parked === undefined ? {} : { parked }), ...state, nics };
  const { version, ...rest } = body;
  return `${JSON.stringify({ version, checksum: checksumOf(body), ...rest }, null, 2)}\n`;
}

/** JSON.parse() takes what JSON.stringify() has no stack for: nothing that was written here. */
function isIntact(body: object, checksum: unknown): boolean {
  try {
    return checksum === checksumOf(body);
  } catch {
    return false;
  }
}

/** Of what it says, not of how it is laid out. */
function checksumOf(body: object): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex');
}
