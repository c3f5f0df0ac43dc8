/** `guard`: what `reconfigure --confirm` starts beside itself. Not for people: it has no place in the help. */
import os from 'node:os';
import { needsOnlink } from '../kernel/routes.ts';
import { openRtnetlink } from '../kernel/socket.ts';
import { createLog } from '../log.ts';
import { describeAction } from '../plan/describe.ts';
import { guard } from '../reconcile/guardian.ts';
import { sayReady } from '../system/detached.ts';
import { createPaths } from '../system/paths.ts';
import type { Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { loadAll } from './load-all.ts';

/** The configuration is not read: it may be what is wrong. */
export async function runGuard({ options, stderr }: Environment, id: string): Promise<ExitCode> {
  const stop = new AbortController();
  // A terminal that goes away and a Ctrl-C are about the command that started us.
  for (const signal of ['SIGHUP', 'SIGINT'] as const) process.on(signal, () => undefined);
  process.once('SIGTERM', () => stop.abort());
  const orphaned = new AbortController();
  process.stdin.once('close', () => orphaned.abort()).resume();
  await loadAll();
  const rtnetlink = openRtnetlink();
  const kernel = { rtnetlink, quirks: { onlink: needsOnlink(os.release()) }, words: describeAction };
  const log = createLog({ level: 'warn', stream: stderr });
  try {
    sayReady();
    const applier = { kernel, paths: createPaths(options.root) };
    await guard({ applier, log, id, orphaned: orphaned.signal, stop: stop.signal });
  } finally {
    rtnetlink.close();
    process.stdin.destroy();
  }
  return EXIT.ok;
}
