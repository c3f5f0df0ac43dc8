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
        test: {
          name: 'unit',
          isolate: false,
          include: ['test/unit/**/*.test.ts', 'test/golden/**/*.test.ts'],
          // Two cores also carry the labs meanwhile: the default of 5 s measures the machine, not the test.
          testTimeout: 60_000,
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
      {
        test: {
          name: 'netns',
          isolate: false,
          include: ['test/netns/**/*.test.ts'],
          globalSetup: ['test/lab/setup.ts'],
          // The long form repeats a cycle of some three seconds up to 40 times.
          testTimeout: process.env['ENI_TEST_SIZE'] === 'full' ? 600_000 : 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
