/** What commands print of a run: its steps, what was left, what went wrong. */
import type { StepEntry } from '../model/plan.ts';
import { describeEntry } from '../plan/describe.ts';
import type { Output, Style } from './output.ts';

/** CONTRACT, a deferral of `plan --json`. */
export function deferralEntry({ mac, reason, detail }: Omit<DeferralLine, 'ifname'>): object {
  return { mac, reason, detail };
}

const STEP_STYLES: Readonly<Record<string, Style>> = { '+': 'green', '-': 'red', '~': 'yellow' };

export function printSteps(output: Output, steps: readonly StepEntry[], indent = ''): void {
  for (const step of steps) {
    const line = describeEntry(step);
    output.line(`${indent}${output.style(STEP_STYLES[line.slice(0, 1)] ?? 'reset', line)}`);
  }
}

export interface DeferralLine {
  readonly mac: string;
  readonly ifname: string | null;
  readonly reason: string;
  readonly detail: string;
}

export function printDeferrals(output: Output, deferrals: readonly DeferralLine[]): void {
  for (const { mac, ifname, reason, detail } of deferrals) {
    output.line(output.style('yellow', `! ${ifname ?? mac} is left as it is: ${reason}: ${detail}`));
  }
}

export function printProblems(
  output: Output,
  problems: readonly { readonly message: string }[],
  indent = '',
): void {
  for (const { message } of problems) output.line(`${indent}${output.style('red', `! ${message}`)}`);
}

/** Why the disk does not have the state; null for nothing. */
export function printStorageProblem(output: Output, problem: string | null): void {
  if (problem !== null) output.line(output.style('yellow', `! what the agent remembers: ${problem}`));
}

export function confirmationDue(confirmBy: string): string {
  return `! what was changed is rolled back at ${confirmBy}, unless \`eni-agent reconfigure --commit\` comes before`;
}

/** Of a run that did not do everything. */
export function printUndone(
  output: Output,
  { held, lapsed }: { readonly held: readonly unknown[]; readonly lapsed: readonly unknown[] },
): void {
  if (held.length > 0) {
    const what = count(held.length, 'removal');
    output.line(
      output.style('yellow', `! ${what} not done: the metadata did not confirm what it no longer lists`),
    );
  }
  if (lapsed.length > 0) {
    const what = count(lapsed.length, 'step');
    output.line(
      output.style(
        'red',
        `! ${what} not done: rolled back before, since nobody confirmed; \`eni-agent reconfigure\` does it`,
      ),
    );
  }
}

/** `1 step`, `2 steps` */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
