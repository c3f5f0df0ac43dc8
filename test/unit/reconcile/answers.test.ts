/** Which answers are equal, and how many have to be. */
import { expect, test } from 'vitest';
import { countAnswer, isSameAnswer } from '../../../src/reconcile/answers.ts';
import { eni, instance, macOf } from '../builders.ts';

const GOOD = instance([eni(1, '10.0.0.4/24', '10.0.0.1')]);
const broken = (problem: string) => ({ ...GOOD, invalid: [{ mac: macOf(3), problem }] });

test('a NIC that is wrong in other words each time holds no confirmation up, and writes no state', () => {
  expect(isSameAnswer(broken('gateway: HTTP 404'), broken('subnet-mask: HTTP 404'))).toBe(true);
  const first = countAnswer(null, broken('gateway: HTTP 404'), 0);
  expect(countAnswer(first, broken('subnet-mask: HTTP 404'), 1_000).count).toBe(2);
  expect(countAnswer(first, broken('subnet-mask: HTTP 404'), 999).count).toBe(1);
});

test('a NIC that is not wrong any more, or another one, is another answer', () => {
  expect(isSameAnswer(broken('HTTP 404'), GOOD)).toBe(false);
  const other = { ...GOOD, invalid: [{ mac: macOf(4), problem: 'HTTP 404' }] };
  expect(isSameAnswer(broken('HTTP 404'), other)).toBe(false);
  expect(countAnswer(countAnswer(null, broken('HTTP 404'), 0), GOOD, 1_000).count).toBe(1);
});
