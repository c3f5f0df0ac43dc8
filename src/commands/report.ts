/** The status report, as the daemon sends it and `--json` prints it. */
import * as v from 'valibot';
import { BACKENDS } from '../model/config.ts';
import { NIC_STATES } from '../model/nic-states.ts';
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
  state: v.picklist(NIC_STATES),
  table: v.nullable(v.number()),
  gateway: v.nullable(v.string()),
  persistence: v.picklist(BACKENDS),
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
  /** Why the disk does not have what the agent remembers; null when it has. */
  storageProblem: v.nullable(v.string()),
  /** ISO time at which a change is rolled back unless it is confirmed; null when none waits. */
  confirmBy: v.nullable(v.string()),
  lastRun: v.nullable(
    v.object({
      at: v.string(),
      trigger: v.string(),
      outcome: v.string(),
      steps: v.number(),
      durationMs: v.number(),
    }),
  ),
  /** What brings the network up at the next boot, and what speaks for it; null before the first good answer. */
  persistence: v.nullable(v.object({ backend: v.picklist(BACKENDS), evidence: v.array(v.string()) })),
  interfaces: v.array(nic),
});

export type Report = v.InferOutput<typeof report>;
export type NicReport = v.InferOutput<typeof nic>;

export function parseReport(answer: unknown): Report {
  return parseAnswer(report, answer);
}
