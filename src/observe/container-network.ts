/**
 * A container network that takes the ENIs of the VM for its pods: their addresses are the pods', and on the host they would
 * break them. It is known by its CNI plugin, in the folder of the plugins (which outlives a reboot) or in the configuration.
 */
import { readdirSync } from 'node:fs';
import { AgentError, errorMessage } from '../errors.ts';
import { isMissing } from '../system/atomic-file.ts';
import type { Paths } from '../system/paths.ts';
import { readRegularFile } from '../system/read-file.ts';

const PLUGINS = '/opt/cni/bin';
const CONFIGURATIONS = '/etc/cni/net.d';
/** Of TKE (VPC-CNI, with a shared and with an exclusive ENI), of ACK and of EKS, by their own documentation. */
const OWNERS = ['tke-route-eni', 'tke-direct-eni', 'terway', 'aws-cni'];
/** Cilium takes ENIs in one of its modes alone, which the configuration of its plugin shows. */
const CILIUM_ENI = /"type"\s*:\s*"cilium-cni"[^]*"eni"\s*:\s*\{|"eni"\s*:\s*\{[^]*"type"\s*:\s*"cilium-cni"/;
const CONFIGURATION = /\.(conf|conflist|json)$/;
const MAXIMUM_BYTES = 256 * 1024;

/** The plugin and the file that gives it away; null where there is none. AgentError `file-failed`. */
export function observeContainerNetwork(paths: Paths): string | null {
  const plugin = namesIn(paths, PLUGINS).find((name) => OWNERS.includes(name));
  if (plugin !== undefined) return `${plugin}, ${PLUGINS}/${plugin}`;
  for (const name of namesIn(paths, CONFIGURATIONS).filter((name) => CONFIGURATION.test(name))) {
    const owner = ownerIn(read(paths, `${CONFIGURATIONS}/${name}`));
    if (owner !== undefined) return `${owner}, ${CONFIGURATIONS}/${name}`;
  }
  return null;
}

function ownerIn(text: string): string | undefined {
  const owner = OWNERS.find((name) => text.includes(`"${name}"`));
  return owner ?? (CILIUM_ENI.test(text) ? 'cilium-cni' : undefined);
}

function namesIn(paths: Paths, folder: string): readonly string[] {
  return orIfMissing(folder, [], () => readdirSync(paths.below(folder)).toSorted());
}

function read(paths: Paths, file: string): string {
  return orIfMissing(file, '', () => readRegularFile(paths.below(file), MAXIMUM_BYTES) ?? '');
}

function orIfMissing<T>(what: string, otherwise: T, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (isMissing(error)) return otherwise;
    throw new AgentError('file-failed', `reading ${what}: ${errorMessage(error)}`, { cause: error });
  }
}
