/** What the agent must never touch, whatever a test does to it. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { STATIC_NETWORK, STATIC_NETWORK6, twinOf } from './topology.ts';
import type { Vm } from './vm.ts';
import { PRIMARY_FILE } from './vm-root.ts';

export interface Untouchables {
  readonly defaultRoutes: string;
  readonly primaryAddress: string;
  readonly ruleZero: string;
  readonly staticRoute: string;
  readonly primaryFile: { readonly content: string; readonly mtimeMs: number; readonly inode: number };
}

const END = '==';

/** IPv4 and IPv6: what a VM without IPv6 does not have must not appear, either. */
export async function readUntouchables(vm: Vm): Promise<Untouchables> {
  const twice = (shown: string): readonly string[] => [`-4 ${shown}`, `-6 ${shown}`];
  const sections = [
    twice('route show table main default'),
    [`-4 -o address show dev eth0 to ${vm.address}`, `-6 -o address show dev eth0 to ${twinOf(vm.address)}`],
    twice('rule show'),
    [`-4 route show table main ${STATIC_NETWORK}`, `-6 route show table main ${STATIC_NETWORK6}`],
  ];
  const script = sections.flatMap((commands) => [
    ...commands.map((command) => `ip ${command}`),
    `echo ${END}`,
  ]);
  const [{ stdout }, content, { mtimeMs, ino }] = await Promise.all([
    vm.run('sh', ['-ec', script.join('\n')]),
    readFile(vm.path(PRIMARY_FILE), 'utf8'),
    stat(vm.path(PRIMARY_FILE)),
  ]);
  const [defaultRoutes = '', primaryAddress = '', rules = '', staticRoute = ''] = stdout
    .split(END)
    .map((text) => text.trim());
  return {
    defaultRoutes,
    // The lease counts down.
    primaryAddress: primaryAddress.replaceAll(/ valid_lft.*/g, ''),
    ruleZero: rules
      .split('\n')
      .filter((rule) => rule.startsWith('0:'))
      .join('\n'),
    staticRoute,
    primaryFile: { content, mtimeMs, inode: ino },
  };
}

export async function assertUntouched(vm: Vm, before: Untouchables): Promise<void> {
  assert.deepEqual(
    await readUntouchables(vm),
    before,
    "comparing what is never the agent's (main's defaults, the primary's address and file, rule 0, the static route): it changed",
  );
}
