/** Messages that no kernel sends. */
import fc from 'fast-check';
import { expect } from 'vitest';
import { AgentError } from '../../../src/errors.ts';
import { sized } from '../../lab/settled.ts';

const RUNS = sized(400, 20_000);

/** Cuts, changes and makes up messages: each is decoded or is an AgentError, and nothing else is thrown. */
export function expectToSurvive(decode: (body: Uint8Array) => unknown, samples: readonly Uint8Array[]): void {
  const sample = fc.constantFrom(...samples);
  const mangled = fc
    .tuple(sample, fc.nat(), fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }))
    .map(([body, cut, changes]) => {
      const copy = body.slice(0, body.length - (cut % body.length));
      for (const [position, value] of changes) copy[position % copy.length] = value;
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(mangled, fc.uint8Array({ maxLength: 80 })), (body) => {
      try {
        decode(body);
      } catch (error) {
        expect(error).toBeInstanceOf(AgentError);
      }
    }),
    { numRuns: RUNS },
  );
}
