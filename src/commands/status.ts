/** `status`: what is, what should be, and what is in between. By the last good answer; the metadata is never asked. */

import { AgentError } from '../errors.ts';
import type { NicStatusName } from '../model/nic-states.ts';
import type { AddressStateName, OverallState } from '../reconcile/status.ts';
import { connectControl } from '../system/control-client.ts';
import { createPaths } from '../system/paths.ts';
import type { Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Output, Style } from './output.ts';
import { confirmationDue, count, printStorageProblem } from './print-run.ts';
import { type NicReport, parseReport, type Report } from './report.ts';

export interface StatusOptions {
  readonly json?: boolean;
  /** Again whenever something changed; needs the daemon. */
  readonly watch?: boolean;
}

export async function runStatus(environment: Environment, { json, watch }: StatusOptions): Promise<ExitCode> {
  if (watch === true) return watchStatus(environment, json === true);
  return withReport(environment, (report) => {
    if (json === true) environment.output.json(report);
    else printReport(environment.output, report);
    return exitCodeOfState(report.state);
  });
}

/** The daemon's word when there is one: then everything else that a look takes need not even be loaded. */
async function withReport<T>(environment: Environment, use: (report: Report) => T): Promise<T> {
  const daemon = await connectControl(createPaths(environment.options.root).control);
  if (daemon !== null) return use(parseReport(await daemon.status()));
  const [{ withReconciler }, { makeReport }] = await Promise.all([
    import('./context.ts'),
    import('./make-report.ts'),
  ]);
  return withReconciler(environment, async (reconciler) => use(await makeReport(reconciler, null)));
}

/** Until the daemon ends or the operator has seen enough. */
async function watchStatus(environment: Environment, asJson: boolean): Promise<ExitCode> {
  const daemon = await connectControl(createPaths(environment.options.root).control);
  if (daemon === null) {
    throw new AgentError(
      'usage',
      'watching the status: no daemon is running; without --watch it is shown once',
    );
  }
  const enough = new AbortController();
  process.once('SIGINT', () => enough.abort());
  process.stdout.once('error', () => enough.abort());
  const { output } = environment;
  await daemon.watchStatus((answer) => {
    const report = parseReport(answer);
    if (asJson) output.line(JSON.stringify(report));
    else {
      printReport(output, report);
      output.line();
    }
  }, enough.signal);
  return EXIT.ok;
}

function exitCodeOfState(state: OverallState): ExitCode {
  if (state === 'failed') return EXIT.failed;
  return state === 'degraded' ? EXIT.degraded : EXIT.ok;
}

const STYLES: Readonly<Record<NicStatusName | AddressStateName, Style>> = {
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
  const { metadataAgeMs, instanceId, provider, state, reason, interfaces, lastRun } = report;
  const { storageProblem, confirmBy, persistence } = report;
  if (metadataAgeMs === null) {
    output.line('No good answer of the metadata service yet: `eni-agent reconfigure` asks for one.');
    if (reason !== null) output.line(reason);
    printStorageProblem(output, storageProblem);
    return;
  }
  const age = `${provider} metadata as of ${ageText(metadataAgeMs)} ago`;
  output.line(
    [
      output.style(STYLES[state], state),
      instanceId ?? 'no instance id',
      age,
      report.daemon ? 'daemon running' : 'no daemon',
    ].join('  '),
  );
  if (confirmBy !== null) output.line(output.style('yellow', confirmationDue(confirmBy)));
  if (reason !== null) output.line(`by the last good answer: ${reason}`);
  printStorageProblem(output, storageProblem);
  if (lastRun !== null)
    output.line(`last change ${lastRun.at}: ${lastRun.outcome}, ${count(lastRun.steps, 'step')}`);
  if (persistence !== null) output.line(output.style('dim', persistenceLine(persistence)));
  for (const nic of interfaces) printNic(output, nic);
}

function persistenceLine({ backend, evidence }: NonNullable<Report['persistence']>): string {
  return `files for ${backend}: ${evidence.join('; ')}`;
}

function printNic(output: Output, nic: NicReport): void {
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
  for (const entry of nic.addresses) output.line(addressLine(output, entry));
  if (nic.reason !== null) output.line(`  ${nic.reason}`);
}

function addressLine(output: Output, entry: NicReport['addresses'][number]): string {
  const { address, prefixLength, primary, state, publicAddress } = entry;
  const facts = [
    output.style(STYLES[state], state),
    ...(primary ? ['(primary)'] : []),
    ...(publicAddress === null ? [] : [`public ${publicAddress}`]),
  ];
  return `  ${`${address}/${prefixLength}`.padEnd(24)} ${facts.join(' ')}`;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

function ageText(ms: number): string {
  if (ms < MINUTE_MS) return `${Math.round(ms / SECOND_MS)} s`;
  return ms < HOUR_MS ? `${Math.round(ms / MINUTE_MS)} min` : `${Math.round(ms / HOUR_MS)} h`;
}
