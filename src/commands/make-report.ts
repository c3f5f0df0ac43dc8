/** Makes the status report: the daemon when there is one, else the command, from the state file. */
import type { DesiredState } from '../model/desired.ts';
import type { AgentState } from '../model/state.ts';
import { lapsedSteps } from '../reconcile/lapse.ts';
import { type Looker, lookByLastAnswer } from '../reconcile/look.ts';
import type { Health } from '../reconcile/service.ts';
import { nicStatuses, overallState } from '../reconcile/status.ts';
import type { Report } from './report.ts';

/** By the last good answer; `health` is what the daemon alone knows, null without a daemon. */
export async function makeReport(looker: Looker, health: Health | null): Promise<Report> {
  const isFailing = health !== null && health.failure !== null;
  const { state, view, storageProblem } = await lookByLastAnswer(looker, isFailing);
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
          lapsed: lapsedSteps(state, looker.configDigest, view.plan.steps),
        });
  const isDegraded = (health?.failure ?? null) !== null || storageProblem !== null;
  const overall = view === null ? 'pending' : overallState(interfaces);
  return {
    state: isDegraded && overall !== 'failed' ? 'degraded' : overall,
    provider: provider.name,
    instanceId: answer?.instanceId ?? null,
    daemon: health !== null,
    metadataAgeMs: health?.ageMs ?? ageOf(state),
    reason: health?.failure?.message ?? null,
    storageProblem,
    confirmBy: view?.trial?.confirmBy ?? null,
    lastRun: state.lastRun === null ? null : withoutFailures(state.lastRun),
    persistence: view === null ? null : persistenceOf(view.desired),
    interfaces: interfaces.map((nic) => ({
      ...nic,
      addresses: nic.addresses.map((entry) => ({
        ...entry,
        publicAddress: health?.publicAddresses.get(entry.address) ?? null,
      })),
    })),
  };
}

function persistenceOf({ backend: { backend, evidence } }: DesiredState): Report['persistence'] {
  return { backend, evidence: [...evidence] };
}

function ageOf({ metadata }: AgentState): number | null {
  return metadata === null ? null : Math.max(0, Date.now() - Date.parse(metadata.readAt));
}

function withoutFailures({ failures: _, ...lastRun }: NonNullable<AgentState['lastRun']>): Report['lastRun'] {
  return lastRun;
}
