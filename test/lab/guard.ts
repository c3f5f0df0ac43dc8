/** Nothing that changes a network may run outside of a private network namespace: this is the one place that says so. */
import { readlinkSync } from 'node:fs';

/** Set by the runner (test/run.ts) before it enters its namespaces: the network namespace that must stay untouched. */
export const OUTER_NETNS = 'ENI_LAB_OUTER_NETNS';

export interface NamespaceIdentity {
  /** What the runner recorded outside; undefined when there was no runner. */
  readonly outer: string | undefined;
  /** Of this process: `net:[4026531840]`. */
  readonly own: string;
  /** Of process 1; undefined where it cannot be read (it cannot from inside a user namespace). */
  readonly init: string | undefined;
}

export function readNamespaceIdentity(): NamespaceIdentity {
  return { outer: process.env[OUTER_NETNS], own: ownNamespace(), init: namespaceOf('/proc/1/ns/net') };
}

export function ownNamespace(): string {
  return readlinkSync('/proc/self/ns/net');
}

/** Throws unless the process is in a network namespace of its own. */
export function assertPrivateNamespace(identity: NamespaceIdentity = readNamespaceIdentity()): void {
  const { outer, own, init } = identity;
  if (outer === undefined || outer === own || init === own) {
    throw new Error(
      `starting the lab in network namespace ${own}: it is not a private one; run it through the runner: npm test -- FILE`,
    );
  }
}

function namespaceOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
