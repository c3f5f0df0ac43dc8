/** The distribution's files: what differs is written, what is ours and not needed is removed, what is somebody's is kept. */
import type { DesiredInterface } from '../model/desired.ts';
import { originalPath } from '../model/files.ts';
import type { HostState } from '../model/host.ts';
import type { Step } from '../model/plan.ts';
import { makeStep } from './step.ts';

export function fileSteps(desired: DesiredInterface, host: HostState): readonly Step[] {
  if (desired.files === null) return [];
  const { present, displaced, absent } = desired.files;
  const written = new Set(present.map(({ path }) => path));
  const existing = new Map(host.files.map(({ path, content }) => [path, content]));
  const writes = present
    .filter(({ path, content }) => existing.get(path) !== content)
    .map(({ path, content }) => {
      const keepOriginal = displaced.includes(path);
      const reason = writeReason(keepOriginal, existing.has(path));
      return makeStep('write-file', desired, { path, content, keepOriginal }, reason);
    });
  const aside = displaced
    .filter((path) => !written.has(path))
    .map((path) => {
      const reason = `would configure the NIC beside us; kept as ${originalPath(path)}`;
      return makeStep('remove-file', desired, { path, original: 'keep' }, reason);
    });
  const removals = absent.map((path) => {
    const original = desired.attached ? 'leave' : 'restore';
    return makeStep('remove-file', desired, { path, original }, 'not needed any more', !desired.attached);
  });
  return [...writes, ...aside, ...removals];
}

function writeReason(keepOriginal: boolean, exists: boolean): string {
  if (keepOriginal) return 'taken over; what was there is kept as *.orig';
  return exists ? 'differs from what should be' : 'so that the network comes up right without the agent';
}
