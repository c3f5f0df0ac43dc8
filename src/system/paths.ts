/** Every path that the agent reads or writes, below one root directory. */
import path from 'node:path';
import { NETWORK_SCRIPTS } from '../model/files.ts';

export interface Paths {
  readonly root: string;
  readonly config: string;
  readonly networkScripts: string;
  readonly stateDirectory: string;
  readonly state: string;
  readonly runDirectory: string;
  readonly lock: string;
  readonly udevControl: string;
  readonly udevData: string;
  /** `/etc/…` as the contract knows it → where it is below the root. */
  readonly below: (contractPath: string) => string;
}

export function createPaths(root: string): Paths {
  const absolute = path.resolve(root);
  const below = (contractPath: string): string => path.join(absolute, contractPath);
  return {
    root: absolute,
    config: below('/etc/eni-agent/config.yaml'),
    networkScripts: below(NETWORK_SCRIPTS),
    stateDirectory: below('/var/lib/eni-agent'),
    state: below('/var/lib/eni-agent/state.json'),
    runDirectory: below('/run/eni-agent'),
    lock: below('/run/eni-agent/lock'),
    udevControl: below('/run/udev/control'),
    udevData: below('/run/udev/data'),
    below,
  };
}
