import { describe, expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import type { DeferralReason, NicProblem } from '../../../src/model/desired.ts';
import type { Outcome } from '../../../src/model/state.ts';
import { failedNics, judge, withStorageProblem } from '../../../src/reconcile/outcome.ts';
import { configOf, eni, hostOf, instance, link, macOf } from '../builders.ts';
import { lookAt } from '../simulator.ts';

type Judged = Parameters<typeof judge>[0];

const NOTHING: Judged = {
  steps: [],
  held: [],
  lapsed: [],
  deferrals: [],
  problems: [],
  metadataFailure: null,
  storageProblem: null,
};
const { steps: STEPS } = lookAt({
  metadata: instance([eni(1, '10.0.0.4/24 10.0.0.5/24', '10.0.0.1')]),
  host: hostOf({ links: [link(1, 'eth0', { addresses: '10.0.0.4/24' })] }),
  config: configOf(),
}).plan;

function deferred(reason: DeferralReason): Judged {
  return { ...NOTHING, steps: STEPS, deferrals: [{ mac: macOf(2), ifname: null, reason, detail: '' }] };
}

describe('the outcome of a run', () => {
  test.each<readonly [string, Judged, Outcome]>([
    ['nothing to do', NOTHING, 'in-sync'],
    ['everything done', { ...NOTHING, steps: STEPS }, 'applied'],
    [
      'a NIC that failed',
      { ...NOTHING, steps: STEPS, problems: [{ mac: macOf(2), message: 'no' }] },
      'degraded',
    ],
    ['a removal that waits for its confirmation', { ...NOTHING, held: STEPS }, 'in-sync'],
    [
      'by the last good answer',
      { ...NOTHING, metadataFailure: new AgentError('metadata-unreachable', 'down') },
      'degraded',
    ],
    ['a broken reading', deferred('invalid-metadata'), 'degraded'],
    ['a table in use', deferred('table-in-use'), 'degraded'],
    ['no link yet', deferred('no-link'), 'applied'],
    ['no metadata yet', deferred('no-metadata'), 'applied'],
    ['not ready yet', deferred('not-ready'), 'applied'],
    ['unmanaged', deferred('unmanaged'), 'applied'],
    ['released', deferred('released'), 'applied'],
    ["somebody's configuration", deferred('foreign-config'), 'applied'],
  ])('%s', (_, result, outcome) => {
    expect(judge(result)).toBe(outcome);
  });
});

test('a NIC is left alone for a while when what was tried failed, and not for what its plan says anyway or for its files', () => {
  const problem = (n: number, rest: Partial<NicProblem> = {}): NicProblem => ({
    mac: macOf(n),
    message: `of NIC ${n}`,
    ...rest,
  });
  const standing = problem(2);
  const problems = [
    problem(1),
    { ...standing },
    problem(3, { isAboutFiles: true }),
    problem(4, { isAboutMarks: true }),
  ];
  expect([...failedNics(problems, { problems: [standing] })]).toEqual([macOf(1)]);
});

test.each<[Outcome, Outcome]>([
  ['in-sync', 'degraded'],
  ['applied', 'degraded'],
  ['rolled-back', 'rolled-back'],
  ['failed', 'failed'],
])('a run that is %s and cannot write it down is %s', (outcome, expected) => {
  expect(withStorageProblem({ outcome, storageProblem: null }, 'ENOSPC')).toEqual({
    outcome: expected,
    storageProblem: 'ENOSPC',
  });
  expect(withStorageProblem({ outcome, storageProblem: null }, null)).toEqual({
    outcome,
    storageProblem: null,
  });
});
