import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { closingLine } from './test/closing-line.ts';

export default defineConfig({
  test: {
    // The checkout may belong to somebody else: nothing is written to it.
    cache: false,
    // Three times the cores: the tests on a kernel wait for time-outs and confirmations more than they work.
    maxWorkers: 3 * availableParallelism(),
    reporters: ['default', closingLine()],
    projects: [
      {
        // One for all of `npm test`, so that what computes fills the time in which what waits on a kernel waits.
        test: {
          name: 'test',
          isolate: false,
          include: ['unit', 'golden', 'netns'].map((folder) => `test/${folder}/**/*.test.ts`),
          globalSetup: ['test/lab/setup.ts'],
          // Two cores carry six files at once: the default of 5 s measures the machine, not the test. The long form repeats a
          // cycle of some three seconds up to 40 times.
          testTimeout: process.env['ENI_TEST_SIZE'] === 'full' ? 600_000 : 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        // Not part of `npm test`: `npm run test:package`, after `npm run package`.
        test: {
          name: 'package',
          include: ['test/package/**/*.test.ts'],
          globalSetup: ['test/lab/setup.ts'],
          testTimeout: 120_000,
        },
      },
    ],
  },
});
