import { inject, onTestFinished } from 'vitest';
import { createLab, type Lab } from './lab.ts';

/** A lab for the running test; it is closed when the test ends, which asserts that nothing forbidden was touched. */
export async function openLab(): Promise<Lab> {
  const lab = await createLab({ actorBundle: inject('actorBundle') });
  onTestFinished(() => lab.close());
  return lab;
}
