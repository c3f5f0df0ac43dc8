/**
 * `npm test`: builds, then runs the tests inside private namespaces, as root or not; `npm test -- FILE` runs some of them.
 * Where the machine cannot do something it does the rest and says at the end what is missing; with CI=true that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { type EnteredCommand, enter, whyNotEnter } from './lab/enter.ts';
import { missingTools } from './lab/tools.ts';

const VITEST = new URL('../node_modules/vitest/vitest.mjs', import.meta.url).pathname;

function main(): number {
  const built = run({ command: 'npm', args: ['run', '--silent', 'build'], env: {} });
  if (built !== 0) return built;
  const missing = missingTools();
  const isBare = missing.some(({ testFile }) => testFile === undefined);
  const refusal = isBare ? 'tools are missing' : whyNotEnter();
  const excluded = missing.flatMap(({ testFile }) => (testFile === undefined ? [] : ['--exclude', testFile]));
  const options = ['--configLoader', 'runner', ...excluded, ...process.argv.slice(2)];
  const vitest = [process.execPath, VITEST, 'run', ...options];
  const code =
    refusal === undefined
      ? run(enter(vitest))
      : run({ command: process.execPath, args: [...vitest.slice(1), '--project', 'unit'], env: {} });
  const skipped = [
    ...(refusal === undefined ? [] : [`all tests on a real kernel (project netns): ${refusal}`]),
    ...missing.map(
      ({ tool, package: name, testFile }) =>
        `${testFile === undefined ? '' : `${testFile}: `}${tool} is not installed; apt-get install ${name}`,
    ),
  ];
  if (skipped.length === 0) return code;
  console.error(['', 'SKIPPED:', ...skipped.map((line) => `  - ${line}`)].join('\n'));
  return code === 0 && process.env['CI'] === 'true' ? 1 : code;
}

function run({ command, args, env }: EnteredCommand): number {
  const { status, error, signal } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status === null) console.error(`running ${command}: ${error?.message ?? signal}`);
  return status ?? 1;
}

process.exitCode = main();
