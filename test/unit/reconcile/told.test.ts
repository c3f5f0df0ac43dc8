/** What is said once is said once, and again when it is news. */
import { expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import type { Log } from '../../../src/log.ts';
import type { IfName } from '../../../src/model/net.ts';
import type { Step } from '../../../src/model/plan.ts';
import type { Trial } from '../../../src/model/trial.ts';
import { createTold } from '../../../src/reconcile/told.ts';
import { macOf } from '../builders.ts';

const QUIET = { storageProblem: null, trial: null, lapsed: [] };
const STEP: Step = {
  kind: 'set-mtu',
  mac: macOf(2),
  interface: 'eth1' as IfName,
  reason: '',
  withdrawal: false,
  arguments: { linkIndex: 2, mtu: 1500, before: 1400 },
};
const trialOf = (id: string): Trial => ({ id, confirmBy: '2026-11-22T10:00:00.000Z' }) as Trial;

function listen() {
  const lines: string[] = [];
  const at =
    (level: string): Log[keyof Log] =>
    (_, message) => {
      lines.push(`${level} ${message}`);
    };
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return { told: createTold(log), said: () => lines.splice(0).filter((line) => !line.startsWith('debug')) };
}

test('why a run could do nothing, until another one could or it is another reason', () => {
  const { told, said } = listen();
  const fail = (message: string): void => told.failed('timer', new AgentError('lock-busy', message));
  fail('one');
  fail('one');
  expect(said()).toEqual(['error run failed']);
  fail('two');
  expect(said()).toEqual(['error run failed']);
  told.ran(QUIET);
  fail('two');
  expect(said()).toEqual(['error run failed']);
});

test('that the state is not on the disk, and that it is again', () => {
  const { told, said } = listen();
  told.ran(QUIET);
  for (const storageProblem of ['full', 'full', null, null]) told.ran({ ...QUIET, storageProblem });
  expect(said()).toEqual(['warn the state is not on the disk', 'info the state is on the disk again']);
});

test('that a change waits for its confirmation, each by itself', () => {
  const { told, said } = listen();
  for (const trial of [trialOf('a'), trialOf('a'), trialOf('b'), null, trialOf('b')])
    told.ran({ ...QUIET, trial });
  expect(said()).toHaveLength(3);
});

test('that a change was rolled back and is left undone, until it is no more', () => {
  const { told, said } = listen();
  for (const lapsed of [[STEP], [STEP], [], [STEP]]) told.ran({ ...QUIET, lapsed });
  expect(said()).toHaveLength(2);
});
