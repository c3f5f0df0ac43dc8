/** What tests of the daemon wait for, and how long their long form is. */
import type { LogLine, Status } from './daemon.ts';
import { until } from './until.ts';
import type { Vm } from './vm.ts';

/** Configuration of a daemon that compares every second. */
export const EVERY_SECOND = 'daemon:\n  resyncInterval: 1s\n';
export const INTERVAL_MS = 1_000;

/** `ENI_TEST_SIZE=full npm test` takes the second. */
export function sized<T>(quick: T, full: T): T {
  return process.env['ENI_TEST_SIZE'] === 'full' ? full : quick;
}

/** Of a random test, for fast-check; what it prints is enough to play the same runs again. */
export function seeded(what: string, numRuns: number): { readonly numRuns: number; readonly seed: number } {
  const seed = Date.now() % 0x7fff_ffff;
  console.info(`${what}: ${numRuns} runs, seed ${seed}`);
  return { numRuns, seed };
}

/** The VM is in sync, and each of these ENIs is listed as such. */
export function inSync(...macs: readonly string[]): (status: Status) => boolean {
  return ({ state, interfaces }) =>
    state === 'in-sync' &&
    macs.every((mac) => interfaces.some((nic) => nic.mac === mac && nic.state === 'in-sync'));
}

/** By MAC, of the NICs that have one. */
export function tablesOf({ interfaces }: Status): Readonly<Record<string, number | null>> {
  return Object.fromEntries(interfaces.map(({ mac, table }) => [mac, table]));
}

/** IPv4 addresses of a link, sorted; [] without the link. */
async function addressesOn(vm: Vm, link: string): Promise<readonly string[]> {
  const { stdout } = await vm.tryRun('ip', ['-o', '-4', 'addr', 'show', 'dev', link]);
  return [...stdout.matchAll(/ inet ([\d.]+)\//g)].map(([, address = '']) => address).toSorted();
}

export async function waitForAddresses(
  vm: Vm,
  link: string,
  expected: readonly string[],
  deadlineMs?: number,
): Promise<void> {
  const sorted = [...expected].toSorted().join(' ');
  await until({
    what: `${link} has ${sorted}`,
    read: async () => (await addressesOn(vm, link)).join(' '),
    holds: (seen) => seen === sorted,
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
}

/** Kernel and files without the agent's own folders. */
export async function networkOf(vm: Vm): Promise<string> {
  const lines = (await vm.snapshot()).split('\n');
  return lines.filter((line) => !line.includes('eni-agent')).join('\n');
}

export async function waitForNetwork(vm: Vm, expected: string, deadlineMs?: number): Promise<void> {
  await until({
    what: 'the network is as it was',
    read: async () => differenceOf(await networkOf(vm), expected),
    holds: (difference) => difference === '',
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
}

/** Lines that only one of them has. */
function differenceOf(seen: string, expected: string): string {
  const [here, there] = [seen.split('\n'), expected.split('\n')];
  return [
    ...here.filter((line) => !there.includes(line)).map((line) => `+ ${line}`),
    ...there.filter((line) => !here.includes(line)).map((line) => `- ${line}`),
  ].join('\n');
}

/** What an operator would be alarmed by. */
export function alarms(log: readonly LogLine[]): readonly LogLine[] {
  return log.filter(({ level }) => ['warn', 'error', 'fatal'].includes(level));
}
