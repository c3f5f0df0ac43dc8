/** What the daemon says once, however often it finds it. */
import type { AgentError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Step } from '../model/plan.ts';
import type { Trigger } from '../model/state.ts';
import type { Trial } from '../model/trial.ts';
import { describeStep } from '../plan/describe.ts';

export interface Told {
  /** A run could do nothing. */
  failed(trigger: Trigger, error: AgentError): void;
  /** A run was made. `storageProblem`: why the state is not on the disk. `lapsed`: left undone, since nobody had confirmed it. */
  ran(outcome: {
    readonly storageProblem: string | null;
    readonly trial: Trial | null;
    readonly lapsed: readonly Step[];
  }): void;
}

export function createTold(log: Log): Told {
  let problem: string | null = null;
  let storageProblem: string | null = null;
  let trialId: string | null = null;
  let hasLapsed = false;

  function noteStorage(now: string | null): void {
    if (now === storageProblem) return;
    if (now === null) log.info({}, 'the state is on the disk again');
    else log.warn({ problem: now }, 'the state is not on the disk');
    storageProblem = now;
  }

  function noteTrial(trial: Trial | null): void {
    if (trial !== null && trial.id !== trialId) {
      const { confirmBy } = trial;
      log.warn({ confirmBy }, 'a change waits for its confirmation, nothing else is changed meanwhile');
    }
    trialId = trial?.id ?? null;
  }

  function noteLapse(lapsed: readonly Step[]): void {
    if (lapsed.length > 0 && !hasLapsed)
      log.warn({ steps: lapsed.map(describeStep) }, 'rolled back since nobody confirmed it, and left undone');
    hasLapsed = lapsed.length > 0;
  }

  return {
    failed: (trigger, { code, message }) => {
      // The next try comes in a second.
      log[message === problem ? 'debug' : 'error']({ trigger, code, problem: message }, 'run failed');
      problem = message;
    },
    ran: (outcome) => {
      problem = null;
      noteStorage(outcome.storageProblem);
      noteTrial(outcome.trial);
      noteLapse(outcome.lapsed);
    },
  };
}
