import { describe, expect, test } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import type { DeferralReason } from '../../../src/model/desired.ts';
import type { Outcome } from '../../../src/model/state.ts';
import { judge, type ReconcileOutcome } from '../../../src/reconcile/outcome.ts';
import { configOf, eni, hostOf, instance, link, macOf } from '../builders.ts';
import { lookAt } from '../simulator.ts';

type Judged = Omit<ReconcileOutcome, 'outcome' | 'durationMs'>;

const NOTHING: Judged = { steps: [], held: [], deferrals: [], problems: [], metadataFailure: null };
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
