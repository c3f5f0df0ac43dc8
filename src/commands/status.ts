/** `status`: what is, what should be, and what is in between. By the last good answer; the metadata is never asked. */
import type { AgentState } from '../model/state.ts';
import { lookByLastAnswer } from '../reconcile/look.ts';
import {
  type AddressStateName,
  type NicStatus,
  type NicStatusName,
  nicStatuses,
  type OverallState,
  overallState,
} from '../reconcile/status.ts';
import { type Environment, withReconciler } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Output } from './output.ts';

export interface StatusOptions {
  readonly json?: boolean;
}

interface Report {
  readonly state: OverallState;
  readonly provider: string;
  readonly instanceId: string | null;
  readonly daemon: boolean;
  readonly metadataAgeMs: number | null;
  readonly lastRun: Omit<NonNullable<AgentState['lastRun']>, 'failures'> | null;
  readonly interfaces: readonly NicStatus[];
}

export function runStatus(environment: Environment, { json }: StatusOptions): Promise<ExitCode> {
  return withReconciler(environment, async (reconciler) => {
    const { state, view } = await lookByLastAnswer(reconciler);
    const { config, provider } = reconciler;
    const answer = view?.reading.metadata;
    const interfaces =
      view === null || answer === undefined
        ? []
        : nicStatuses({ answer, host: view.host, desired: view.desired, plan: view.plan, config });
    const report: Report = {
      state: view === null ? 'pending' : overallState(interfaces),
      provider: provider.name,
      instanceId: answer?.instanceId ?? null,
      daemon: false,
      metadataAgeMs:
        state.metadata === null ? null : Math.max(0, Date.now() - Date.parse(state.metadata.readAt)),
      lastRun: state.lastRun === null ? null : withoutFailures(state.lastRun),
      interfaces,
    };
    if (json === true) environment.output.json(report);
    else printReport(environment.output, report);
    return report.state === 'degraded' ? EXIT.degraded : report.state === 'failed' ? EXIT.failed : EXIT.ok;
  });
}

function withoutFailures({ failures: _, ...lastRun }: NonNullable<AgentState['lastRun']>): Report['lastRun'] {
  return lastRun;
}

const STYLES: Readonly<Record<NicStatusName | AddressStateName, Parameters<Output['style']>[0]>> = {
  'in-sync': 'green',
  configured: 'green',
  pending: 'yellow',
  missing: 'yellow',
  stale: 'yellow',
  degraded: 'red',
  failed: 'red',
  unmanaged: 'dim',
  released: 'dim',
  'foreign-config': 'dim',
  detached: 'dim',
  excluded: 'dim',
  foreign: 'dim',
};

function printReport(output: Output, report: Report): void {
  const { metadataAgeMs, instanceId, provider, state, interfaces, lastRun } = report;
  if (metadataAgeMs === null) {
    output.line('No good answer of the metadata service yet: `eni-agent reconfigure` asks for one.');
    return;
  }
  const age = `${provider} metadata as of ${ageText(metadataAgeMs)} ago`;
  output.line(
    [output.style(STYLES[state], state), instanceId ?? 'no instance id', age, 'no daemon'].join('  '),
  );
  if (lastRun !== null) output.line(`last change ${lastRun.at}: ${lastRun.outcome}, ${lastRun.steps} steps`);
  for (const nic of interfaces) printNic(output, nic);
}

function printNic(output: Output, nic: NicStatus): void {
  output.line();
  const facts = [
    nic.name ?? '(no link)',
    nic.mac,
    nic.role,
    output.style(STYLES[nic.state], nic.state),
    ...(nic.table === null ? [] : [`table ${nic.table}`]),
    ...(nic.gateway === null ? [] : [`gateway ${nic.gateway}`]),
    ...(nic.role === 'primary' ? [] : [`files: ${nic.persistence}`]),
  ];
  output.line(facts.join('  '));
  for (const { address, prefixLength, primary, state } of nic.addresses) {
    const text = `${address}/${prefixLength}`.padEnd(24);
    output.line(`  ${text} ${output.style(STYLES[state], state)}${primary ? ' (primary)' : ''}`);
  }
  if (nic.reason !== null) output.line(`  ${nic.reason}`);
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

function ageText(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.round(ms / SECOND_MS)} s`;
  return ms < HOUR_MS ? `${Math.round(ms / MINUTE_MS)} min` : `${Math.round(ms / HOUR_MS)} h`;
}
