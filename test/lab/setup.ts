/** Before the first test on a real kernel: refuse the wrong place, and bundle the actor once for all labs. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { bundleActor } from './actor-client.ts';
import { assertPrivateNamespace } from './guard.ts';
import { KERNEL_TESTS } from './tools.ts';

declare module 'vitest' {
  interface ProvidedContext {
    actorBundle: string;
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (!project.config.exclude.includes(KERNEL_TESTS)) assertPrivateNamespace();
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-lab-actor-'));
  project.provide('actorBundle', await bundleActor(folder));
  return () => rm(folder, { recursive: true });
}
