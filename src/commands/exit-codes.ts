/** The exit codes of the contract. */
import { AgentError, type ErrorCode } from '../errors.ts';
import type { Outcome } from '../model/state.ts';

export const EXIT = { ok: 0, failed: 1, usage: 2, degraded: 3, busy: 4, pending: 5 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const OF_ERROR: Partial<Record<ErrorCode, ExitCode>> = {
  usage: EXIT.usage,
  'config-invalid': EXIT.usage,
  'config-untrusted': EXIT.usage,
  'lock-busy': EXIT.busy,
  'daemon-running': EXIT.busy,
  'change-unconfirmed': EXIT.busy,
  'path-too-long': EXIT.usage,
};

const OF_OUTCOME: Readonly<Record<Outcome, ExitCode>> = {
  'in-sync': EXIT.ok,
  applied: EXIT.ok,
  degraded: EXIT.degraded,
  'rolled-back': EXIT.degraded,
  failed: EXIT.failed,
};

export function exitCodeOfError(error: unknown): ExitCode {
  return error instanceof AgentError ? (OF_ERROR[error.code] ?? EXIT.failed) : EXIT.failed;
}

export function exitCodeOfOutcome(outcome: Outcome): ExitCode {
  return OF_OUTCOME[outcome];
}
