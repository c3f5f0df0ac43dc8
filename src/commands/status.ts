/** `status`: what is, what should be, and what is in between. By the last good answer; the metadata is never asked. */

import { AgentError } from '../errors.ts';
import type { AddressStateName, NicStatusName, OverallState } from '../reconcile/status.ts';
import { connectControl } from '../system/control-client.ts';
import { createContext, type Environment, withReconciler } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Output } from './output.ts';
import { makeReport, type NicReport, parseReport, type Report } from './report.ts';

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

/** The daemon's word when there is one. */
async function withReport<T>(environment: Environment, use: (report: Report) => T): Promise<T> {
  const { paths } = await createContext(environment);
  const daemon = await connectControl(paths.control);
  if (daemon !== null) return use(parseReport(await daemon.status()));
  return withReconciler(environment, async (reconciler) => use(await makeReport(reconciler, null)));
}

/** Until the daemon ends or the operator has seen enough. */
async function watchStatus(environment: Environment, asJson: boolean): Promise<ExitCode> {
  const { paths } = await createContext(environment);
  const daemon = await connectControl(paths.control);
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
  const { metadataAgeMs, instanceId, provider, state, reason, interfaces, lastRun } = report;
  if (metadataAgeMs === null) {
    output.line('No good answer of the metadata service yet: `eni-agent reconfigure` asks for one.');
    if (reason !== null) output.line(reason);
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
  if (reason !== null) output.line(`by the last good answer: ${reason}`);
  if (lastRun !== null) output.line(`last change ${lastRun.at}: ${lastRun.outcome}, ${lastRun.steps} steps`);
  for (const nic of interfaces) printNic(output, nic);
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
