import { describe, expect, test } from 'vitest';
import { decodeRuleComment } from '../../../src/kernel/nftables.ts';
import { fromHex } from './captured.ts';
import { expectToSurvive } from './hostile.ts';

/** `counter comment "eni-agent:1:4:eth1:7e:7f"` in chain c of table inet others, and `counter` after it, on kernel 6.18. */
const COMMENTED = fromHex(`
  010000020b0001006f7468657273000006000200630000000c0003000000000000000002300004002c0001000c000100636f
  756e746572001c0002000c00010000000000000000000c00020000000000000000001f0007000019656e692d6167656e743a
  313a343a657468313a37653a37660000
`);
const PLAIN = fromHex(`
  010000020b0001006f7468657273000006000200630000000c00030000000000000000030c00060000000000000000023000
  04002c0001000c000100636f756e746572001c0002000c00010000000000000000000c0002000000000000000000
`);

describe('a rule of nftables', () => {
  test('gives its comment', () => {
    expect(decodeRuleComment(COMMENTED, 'others')).toEqual(['eni-agent:1:4:eth1:7e:7f']);
  });

  test('without a comment, and of another table, gives none', () => {
    expect(decodeRuleComment(PLAIN, 'others')).toEqual([]);
    expect(decodeRuleComment(COMMENTED, 'eni_agent')).toEqual([]);
  });

  test('that is malformed is an AgentError', () => {
    expectToSurvive((body) => decodeRuleComment(body, 'others'), [COMMENTED, PLAIN]);
  });
});
