/** What is different between two status reports, in words. */
import { confirmationDue, count } from './print-run.ts';
import type { NicReport, Report } from './report.ts';

export interface Change {
  /** Of the NIC that it is about; null for the VM as a whole. */
  readonly mac: string | null;
  /** Of that NIC; none for the NIC as a whole. */
  readonly addresses: readonly string[];
  readonly text: string;
}

/** Of many addresses these are named; the others are counted, unless it is one. */
const NAMED_ADDRESSES = 2;
/** Of a daemon that was gone. */
export const FOUND = 'the daemon is there again';

/** In the order of the reports: the VM first, then each NIC. The age of the metadata is no change. */
export function changesBetween(before: Report, after: Report): readonly Change[] {
  const nicsBefore = new Map(before.interfaces.map((nic) => [nic.mac, nic]));
  const nicsAfter = new Set(after.interfaces.map(({ mac }) => mac));
  return [
    ...vmChanges(before, after),
    ...after.interfaces.flatMap((nic) => nicChanges(nicsBefore.get(nic.mac), nic)),
    ...before.interfaces
      .filter(({ mac }) => !nicsAfter.has(mac))
      .map((nic) => changeOf(nic, `${nameOf(nic)} is gone`)),
  ];
}

function vmChanges(before: Report, after: Report): readonly Change[] {
  const texts: string[] = [];
  const run = after.lastRun;
  if (run !== null && run.at !== before.lastRun?.at) texts.push(describeRun(run));
  if (after.state !== before.state) texts.push(`the VM is ${after.state}, was ${before.state}`);
  // Which key of the metadata failed first is chance: another reason every second would hide all else.
  if ((after.reason === null) !== (before.reason === null))
    texts.push(after.reason ?? 'the metadata service answers again');
  if (after.storageProblem !== before.storageProblem)
    texts.push(after.storageProblem ?? 'what the agent remembers is on the disk again');
  if (after.confirmBy !== before.confirmBy)
    texts.push(
      after.confirmBy === null
        ? 'no change waits for its confirmation any more'
        : confirmationDue(after.confirmBy),
    );
  return texts.map(ofTheVm);
}

export function ofTheVm(text: string): Change {
  return { mac: null, addresses: [], text };
}

export function describeRun({ trigger, outcome, steps, durationMs }: NonNullable<Report['lastRun']>): string {
  return `a run (${trigger}): ${outcome}, ${count(steps, 'step')} in ${durationMs} ms`;
}

function nicChanges(before: NicReport | undefined, after: NicReport): readonly Change[] {
  const name = nameOf(after);
  if (before === undefined)
    return [changeOf(after, `${name} is here: ${stateOf(after)}`), ...addressChanges([], after)];
  const changes: Change[] = [];
  if (after.name !== before.name) changes.push(changeOf(after, `${name} was ${nameOf(before)}`));
  if (after.state !== before.state || after.reason !== before.reason)
    changes.push(changeOf(after, `${name} is ${stateOf(after)}, was ${before.state}`));
  return [...changes, ...addressChanges(before.addresses, after)];
}

/** What became of many is one change. */
function addressChanges(before: NicReport['addresses'], after: NicReport): readonly Change[] {
  const known = new Map(before.map((entry) => [entry.address, entry]));
  const left = new Set(known.keys());
  const became = new Map<string, string[]>();
  const note = (address: string, what: string): void =>
    void became.set(what, [...(became.get(what) ?? []), address]);
  for (const { address, state, publicAddress } of after.addresses) {
    const old = known.get(address);
    left.delete(address);
    if (old?.state !== state) note(address, old === undefined ? state : `${state}, was ${old.state}`);
    if ((old?.publicAddress ?? null) !== publicAddress) note(address, publicText(publicAddress));
  }
  for (const address of left) note(address, 'gone');
  return [...became].map(([what, addresses]) =>
    changeOf(after, `${nameOf(after)} ${listed(addresses)}: ${what}`, addresses),
  );
}

function listed(addresses: readonly string[]): string {
  const rest = addresses.length - NAMED_ADDRESSES;
  return rest <= 1
    ? addresses.join(', ')
    : `${addresses.slice(0, NAMED_ADDRESSES).join(', ')} and ${rest} more`;
}

function stateOf({ state, reason }: NicReport): string {
  return reason === null ? state : `${state} (${reason})`;
}

function publicText(address: string | null): string {
  return address === null ? 'no public address any more' : `public ${address}`;
}

function changeOf({ mac }: NicReport, text: string, addresses: readonly string[] = []): Change {
  return { mac, addresses, text };
}

function nameOf({ name, mac }: NicReport): string {
  return name ?? mac;
}
