/** The status report: made by the daemon when there is one, else from the state file. */
import * as v from 'valibot';
import type { AgentState } from '../model/state.ts';
import { type Looker, lookByLastAnswer } from '../reconcile/look.ts';
import type { Health } from '../reconcile/service.ts';
import { nicStatuses, overallState } from '../reconcile/status.ts';
import { parseAnswer } from '../system/control-client.ts';

const address = v.object({
  address: v.string(),
  prefixLength: v.number(),
  primary: v.boolean(),
  state: v.picklist(['configured', 'missing', 'excluded', 'foreign', 'stale']),
  /** null where there is none, and without a daemon: only that asks. */
  publicAddress: v.nullable(v.string()),
});

const nic = v.object({
  name: v.nullable(v.string()),
  mac: v.string(),
  role: v.picklist(['primary', 'secondary']),
  state: v.picklist([
    'in-sync',
    'pending',
    'degraded',
    'failed',
    'unmanaged',
    'released',
    'foreign-config',
    'detached',
  ]),
  table: v.nullable(v.number()),
  gateway: v.nullable(v.string()),
  persistence: v.picklist(['network-scripts', 'none']),
  addresses: v.array(address),
  reason: v.nullable(v.string()),
});

/** CONTRACT, `status --json`. */
const report = v.object({
  state: v.picklist(['in-sync', 'pending', 'degraded', 'failed']),
  provider: v.string(),
  instanceId: v.nullable(v.string()),
  daemon: v.boolean(),
  metadataAgeMs: v.nullable(v.number()),
  /** Why the metadata service gives the daemon no answer now; null when it does, and without a daemon. */
  reason: v.nullable(v.string()),
  lastRun: v.nullable(
    v.object({
      at: v.string(),
      trigger: v.string(),
      outcome: v.string(),
      steps: v.number(),
      durationMs: v.number(),
    }),
  ),
  interfaces: v.array(nic),
});

export type Report = v.InferOutput<typeof report>;
export type NicReport = v.InferOutput<typeof nic>;

export function parseReport(answer: unknown): Report {
  return parseAnswer(report, answer);
}

/** By the last good answer; `health` is what the daemon alone knows, null without a daemon. */
export async function makeReport(looker: Looker, health: Health | null): Promise<Report> {
  const { state, view } = await lookByLastAnswer(looker);
  const { config, provider } = looker;
  const answer = view?.reading.metadata;
  const interfaces =
    view === null || answer === undefined
      ? []
      : nicStatuses({
          answer,
          host: view.host,
          desired: view.desired,
          plan: view.plan,
          config,
          fights: health?.fights ?? new Map(),
        });
  const overall = view === null ? 'pending' : overallState(interfaces);
  return {
    state: health?.failure && overall !== 'failed' ? 'degraded' : overall,
    provider: provider.name,
    instanceId: answer?.instanceId ?? null,
    daemon: health !== null,
    metadataAgeMs: health?.ageMs ?? ageOf(state),
    reason: health?.failure?.message ?? null,
    lastRun: state.lastRun === null ? null : withoutFailures(state.lastRun),
    interfaces: interfaces.map((nic) => ({
      ...nic,
      addresses: nic.addresses.map((entry) => ({
        ...entry,
        publicAddress: health?.publicAddresses.get(entry.address) ?? null,
      })),
    })),
  };
}

function ageOf({ metadata }: AgentState): number | null {
  return metadata === null ? null : Math.max(0, Date.now() - Date.parse(metadata.readAt));
}

function withoutFailures({ failures: _, ...lastRun }: NonNullable<AgentState['lastRun']>): Report['lastRun'] {
  return lastRun;
}
