/** The operator's hooks, for a command that made its run itself. */
import type { NetworkEvent } from '../model/events.ts';
import type { Context } from './context.ts';

/** Resolves when systemd has them: they are not waited for. What goes wrong is in the log. */
export async function ringHooks(
  { paths, log, config }: Context,
  events: readonly NetworkEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const { createHookRunner } = await import('../hooks/hooks.ts');
  const hooks = createHookRunner({ paths, log });
  hooks.ring(events, config.hooks.timeoutMs);
  await hooks.handedOver();
}
