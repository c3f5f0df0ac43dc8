import { inject, onTestFinished } from 'vitest';
import { createLab, type Lab, type LabOptions } from './lab.ts';

/** A lab for the running test; it is closed when the test ends, which asserts that nothing forbidden was touched. */
export async function openLab(options: Omit<LabOptions, 'actorBundle'> = {}): Promise<Lab> {
  const lab = await createLab({ actorBundle: inject('actorBundle'), ...options });
  onTestFinished(() => lab.close());
  return lab;
}
