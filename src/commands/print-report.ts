/** A status report for people. */
import type { Output } from './output.ts';
import { confirmationDue, count, printStorageProblem } from './print-run.ts';
import type { NicReport, Report } from './report.ts';
import { ageText, STATE_STYLES } from './status-words.ts';

export function printReport(output: Output, report: Report): void {
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
      output.style(STATE_STYLES[state], state),
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
    output.style(STATE_STYLES[nic.state], nic.state),
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
    output.style(STATE_STYLES[state], state),
    ...(primary ? ['(primary)'] : []),
    ...(publicAddress === null ? [] : [`public ${publicAddress}`]),
  ];
  return `  ${`${address}/${prefixLength}`.padEnd(24)} ${facts.join(' ')}`;
}
