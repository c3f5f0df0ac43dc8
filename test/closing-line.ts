import type { Reporter, TestCase } from 'vitest/node';

/** Ends a run with `N passed, N failed` and the tests that were skipped; with CI=true a skipped test is a failure. */
export function closingLine(): Reporter {
  return {
    onTestRunEnd(modules, errors) {
      const tests = modules.flatMap((module) => [...module.children.allTests()]);
      const inState = (state: string): readonly TestCase[] =>
        tests.filter((test) => test.result().state === state);
      const brokenFiles = modules.filter((module) => module.errors().length > 0);
      const failed = inState('failed').length + brokenFiles.length + errors.length;
      const skipped = inState('skipped');
      for (const { module, fullName } of skipped)
        console.log(`skipped: ${module.relativeModuleId} > ${fullName}`);
      console.log(`${inState('passed').length} passed, ${failed} failed, ${skipped.length} skipped`);
      if (skipped.length > 0 && process.env['CI'] === 'true') process.exitCode = 1;
    },
  };
}
