/**
 * /var/lib/eni-agent/state.json: versioned, 0600. A file that cannot be understood (truncated, garbage, of a newer version) is
 * never overwritten: it is set aside before the first write, and the run goes on with what the kernel and our own files show.
 */
import { mkdirSync, statSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import * as v from 'valibot';
import { AgentError, errorMessage } from '../errors.ts';
import type { MacAddress } from '../model/net.ts';
import {
  formatInterfaceAddress,
  parseCidr,
  parseIfName,
  parseInterfaceAddress,
  parseIpAddress,
  parseMacAddress,
} from '../model/net.ts';
import { type AgentState, EMPTY_STATE, type NicState } from '../model/state.ts';
import { isDenied, isMissing, linkUnlessTaken, writeFileAtomically, writing } from './atomic-file.ts';
import type { Paths } from './paths.ts';
import { readRegularFile } from './read-file.ts';
import { parsedText } from './schema.ts';

const VERSION = 1;
const STATE_MODE = 0o600;
const FOLDER_MODE = 0o700;

const mac = parsedText(parseMacAddress, 'a MAC address');
const ip = parsedText(parseIpAddress, 'an IP address');
const prefixLength = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(128));
const address = v.pipe(
  v.object({ address: ip, prefixLength }),
  v.check(
    (entry) => parseInterfaceAddress(formatInterfaceAddress(entry)) !== undefined,
    'no such prefix length',
  ),
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
  version: v.literal(VERSION),
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
  lastRun: v.nullable(
    v.object({
      at: v.string(),
      trigger: v.picklist(['boot', 'link', 'kernel', 'metadata', 'timer', 'config', 'wake', 'command']),
      outcome: v.picklist(['in-sync', 'applied', 'degraded', 'failed', 'rolled-back']),
      steps: v.number(),
      durationMs: v.number(),
      failures: v.array(v.object({ mac, message: v.string() })),
    }),
  ),
});

export interface ReadState {
  readonly state: AgentState;
  /** Why the file is not used, and the name it is to be set aside under; null when it is used or absent. */
  readonly rejected: { readonly problem: string; readonly asideName: string } | null;
}

/** Reads without changing anything. AgentError `state-unreadable` only when the file may not be read at all. */
export function readState(paths: Paths): ReadState {
  let text: string | undefined;
  try {
    text = readRegularFile(paths.state);
  } catch (error) {
    if (isMissing(error)) return { state: EMPTY_STATE, rejected: null };
    const advice = isDenied(error) ? '; run as root' : '';
    const message = `reading ${paths.state}: ${errorMessage(error)}${advice}`;
    throw new AgentError('state-unreadable', message, { cause: error });
  }
  if (text === undefined) {
    const message = `reading ${paths.state}: it is no regular file, or much too large; move it away`;
    throw new AgentError('state-unreadable', message);
  }
  return parseState(text);
}

/** Another one after every write: a write is a new file that takes the name. '' when there is none. */
export function identifyState(paths: Paths): string {
  const stats = statSync(paths.state, { bigint: true, throwIfNoEntry: false });
  return stats === undefined ? '' : `${stats.ino}.${stats.mtimeNs}.${stats.size}`;
}

function parseState(text: string): ReadState {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return reject('it is not JSON (truncated?)', 'corrupt');
  }
  const version = typeof json === 'object' && json !== null && 'version' in json ? json.version : undefined;
  if (typeof version === 'number' && version > VERSION) {
    return reject(
      `it is of version ${version}, and this agent knows version ${VERSION}`,
      `version-${version}`,
    );
  }
  const result = v.safeParse(stateFile, json);
  if (!result.success) {
    const [issue] = result.issues;
    return reject(`${v.getDotPath(issue) ?? 'it'}: ${issue.message}`, 'corrupt');
  }
  const { metadata, nics, released, hasMarks, lastRun } = result.output;
  const byMac: Record<MacAddress, NicState> = Object.fromEntries(
    nics.map(({ mac: key, ...nic }) => [key, nic]),
  );
  return { state: { metadata, nics: byMac, released, hasMarks, lastRun }, rejected: null };
}

function reject(problem: string, suffix: string): ReadState {
  return { state: EMPTY_STATE, rejected: { problem, asideName: `state.json.${suffix}` } };
}

/** Only under the lock. `durable` as in writeFileAtomically. AgentError `file-failed`. */
export async function writeState(
  paths: Paths,
  state: AgentState,
  { durable }: { durable: boolean },
): Promise<void> {
  const nics = Object.entries(state.nics)
    .toSorted(([, a], [, b]) => a.slot - b.slot)
    .map(([key, nic]) => ({ mac: key, ...nic }));
  const content = `${JSON.stringify({ version: VERSION, ...state, nics }, null, 2)}\n`;
  await writing(paths.stateDirectory, () =>
    mkdirSync(paths.stateDirectory, { recursive: true, mode: FOLDER_MODE }),
  );
  await writeFileAtomically(paths.state, content, { mode: STATE_MODE, durable });
}

/**
 * Only under the lock, before the first write. What was set aside before stays: a second of the name has `.2` behind it.
 * Returns where it is. AgentError `file-failed`.
 */
export async function setStateAside(paths: Paths, asideName: string): Promise<string> {
  const wanted = path.join(paths.stateDirectory, asideName);
  return writing(wanted, async () => {
    for (let count = 1; ; count += 1) {
      const aside = count === 1 ? wanted : `${wanted}.${count}`;
      if (!linkUnlessTaken(paths.state, aside)) continue;
      unlinkSync(paths.state);
      return aside;
    }
  });
}
