/** Every path that the agent reads or writes, below one root directory. */
import path from 'node:path';
import { CONNECTIONS, NETWORK_SCRIPTS } from '../model/files.ts';

export interface Paths {
  readonly root: string;
  readonly config: string;
  /** The operator's own. */
  readonly templates: string;
  /** Folders of the operator's executables, by event. */
  readonly hooks: string;
  readonly networkScripts: string;
  /** NetworkManager's keyfiles. */
  readonly connections: string;
  readonly stateDirectory: string;
  readonly state: string;
  /** What the state file was before it was written last. */
  readonly previousState: string;
  /** The last runs that changed something. */
  readonly history: string;
  /** A change that waits for its confirmation. */
  readonly trial: string;
  readonly runDirectory: string;
  readonly lock: string;
  /** The state while the disk cannot be written: in /run, which lasts as long as the kernel whose objects it lists. */
  readonly parkedState: string;
  /** What the run under way does to the kernel. */
  readonly journal: string;
  /** Touched by udev: look again. */
  readonly wake: string;
  readonly control: string;
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
    templates: below('/etc/eni-agent/templates'),
    hooks: below('/etc/eni-agent/hooks.d'),
    networkScripts: below(NETWORK_SCRIPTS),
    connections: below(CONNECTIONS),
    stateDirectory: below('/var/lib/eni-agent'),
    state: below('/var/lib/eni-agent/state.json'),
    previousState: below('/var/lib/eni-agent/state.json.previous'),
    history: below('/var/lib/eni-agent/history.jsonl'),
    trial: below('/var/lib/eni-agent/trial.json'),
    runDirectory: below('/run/eni-agent'),
    lock: below('/run/eni-agent/lock'),
    parkedState: below('/run/eni-agent/state.json'),
    journal: below('/run/eni-agent/journal.json'),
    wake: below('/run/eni-agent/wake'),
    control: below('/run/eni-agent/control.sock'),
    udevControl: below('/run/udev/control'),
    udevData: below('/run/udev/data'),
    below,
  };
}
