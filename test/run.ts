/**
 * `npm test`: builds, then runs the tests inside private namespaces, as root or not; `npm test -- FILE` runs some of them.
 * Where the machine cannot do something it does the rest and says at the end what is missing; with CI=true that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { type EnteredCommand, enter, whyNotBootSystemd, whyNotEnter } from './lab/enter.ts';
import { KERNEL_TESTS, missingTools, SYSTEMD_TESTS } from './lab/tools.ts';

const VITEST = new URL('../node_modules/vitest/vitest.mjs', import.meta.url).pathname;
/** The files of the other project. */
const PACKAGE_TESTS = 'test/package/';
/** `.ci/run` says so in its second run, without root: what that cannot run has been run by then. */
const AFTER_ROOT = process.env['ENI_TEST_AFTER_ROOT'] === 'true' && process.getuid?.() !== 0;

/** What this machine leaves out. */
interface Gap {
  /** A file of tests that does not run; undefined when none on a real kernel does. */
  readonly testFile?: string | undefined;
  readonly reason: string;
}

function main(): number {
  const built = run({ command: 'npm', args: ['run', '--silent', 'build'], env: {} });
  if (built !== 0) return built;
  const isOfThisRun = ({ testFile }: Gap): boolean =>
    testFile === undefined || testFile.startsWith(PACKAGE_TESTS) === process.argv.includes('package');
  const gaps = findGaps().filter(isOfThisRun);
  const excluded = gaps.flatMap(({ testFile }) => (testFile === undefined ? [] : ['--exclude', testFile]));
  const isBare = gaps.some(({ testFile }) => testFile === undefined);
  const options = ['--configLoader', 'runner', ...excluded, ...chooseTests(isBare), ...process.argv.slice(2)];
  const vitest = [VITEST, 'run', ...options];
  const code = isBare
    ? run({ command: process.execPath, args: vitest, env: {} })
    : run(enter([process.execPath, ...vitest]));
  const isRunByRoot = ({ testFile = '' }: Gap): boolean => AFTER_ROOT && SYSTEMD_TESTS.includes(testFile);
  report('RUN BY ROOT BEFORE:', gaps.filter(isRunByRoot));
  const skipped = gaps.filter((gap) => !isRunByRoot(gap));
  report('SKIPPED:', skipped);
  return skipped.length > 0 && code === 0 && process.env['CI'] === 'true' ? 1 : code;
}

/** Those of `npm test`, unless a project is named. Without a kernel to try them on, the tests that need none. */
function chooseTests(isBare: boolean): readonly string[] {
  if (process.argv.includes('--project')) return [];
  return ['--project', 'test', ...(isBare ? ['--exclude', KERNEL_TESTS] : [])];
}

function findGaps(): readonly Gap[] {
  const missing = missingTools().map(({ tool, package: name, testFile }) => ({
    testFile,
    reason: `${tool} is not installed; apt-get install ${name}`,
  }));
  if (missing.some(({ testFile }) => testFile === undefined)) return missing;
  const refusal = whyNotEnter();
  if (refusal !== undefined) return [...missing, { reason: refusal }];
  const reason = whyNotBootSystemd();
  return reason === undefined
    ? missing
    : [...missing, ...SYSTEMD_TESTS.map((testFile) => ({ testFile, reason }))];
}

function report(title: string, gaps: readonly Gap[]): void {
  if (gaps.length === 0) return;
  const lines = gaps.map(
    ({ testFile = 'all tests on a real kernel', reason }) => `  - ${testFile}: ${reason}`,
  );
  console.error(['', title, ...lines].join('\n'));
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
