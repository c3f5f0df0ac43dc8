import type { Reporter, TestCase } from 'vitest/node';

/**
 * Ends a run with the tests that failed, each with the first line of what it said, the tests that were skipped, and
 * `N passed, N failed, N skipped`; with CI=true a skipped test is a failure.
 */
export function closingLine(): Reporter {
  return {
    onTestRunEnd(modules, errors) {
      const tests = modules.flatMap((module) => [...module.children.allTests()]);
      const inState = (state: string): readonly TestCase[] =>
        tests.filter((test) => test.result().state === state);
      const failed = [
        ...inState('failed').map((test) => saying(nameOf(test), test.result().errors)),
        ...modules
          .filter((module) => module.errors().length > 0)
          .map((module) => saying(module.relativeModuleId, module.errors())),
        ...errors.map((error) => saying('outside of any test', [error])),
      ];
      const skipped = inState('skipped');
      for (const line of failed) console.log(`failed: ${line}`);
      for (const test of skipped) console.log(`skipped: ${nameOf(test)}`);
      console.log(`${inState('passed').length} passed, ${failed.length} failed, ${skipped.length} skipped`);
      if (skipped.length > 0 && process.env['CI'] === 'true') process.exitCode = 1;
    },
  };
}

function nameOf({ module, fullName }: TestCase): string {
  return `${module.relativeModuleId} > ${fullName}`;
}

function saying(what: string, errors: readonly { readonly message: string }[] | undefined): string {
  return [what, errors?.[0]?.message.split('\n', 1)[0]].filter(Boolean).join(': ');
}
