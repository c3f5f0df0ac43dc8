/** `tsx test/lab/inside.ts COMMAND…`: runs it inside private namespaces, as the tests run. */
import { spawnSync } from 'node:child_process';
import { enter } from './enter.ts';

function main(): number {
  const { command, args, env } = enter(process.argv.slice(2));
  const { status, error, signal } = spawnSync(command, args, {
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status === null) console.error(`running ${command}: ${error?.message ?? signal}`);
  return status ?? 1;
}

process.exitCode = main();
