/**
 * A disk that was copied to another machine: what the state says is about NICs that are not here. Known by two things together,
 * since one may be wrong: the metadata gives another instance id, and no MAC of the state is that of a link (docs/decisions/0017).
 */
import { ifnameOf, isOurs } from '../model/files.ts';
import type { Link } from '../model/host.ts';
import type { InstanceMetadata } from '../model/metadata.ts';
import type { MacAddress } from '../model/net.ts';
import type { Plan } from '../model/plan.ts';
import { type AgentState, EMPTY_STATE } from '../model/state.ts';
import type { Observation } from '../observe/observe.ts';
import { makeStep } from '../plan/step.ts';

/** The id of the machine that the state is of; null when that may be this one. */
export function findOrigin(
  { metadata: last, nics }: AgentState,
  { instanceId }: InstanceMetadata,
  links: readonly Link[],
): string | null {
  const origin = last?.answer.instanceId ?? null;
  if (last === null || origin === null || instanceId === null || origin === instanceId) return null;
  const { answer } = last;
  const known = [...Object.keys(nics), ...[...answer.nics, ...answer.invalid].map(({ mac }) => mac)];
  const here = localMacs(links);
  return [...known, answer.primaryMac].some((mac) => here.has(mac)) ? null : origin;
}

function localMacs(links: readonly Link[]): ReadonlySet<string> {
  return new Set(links.flatMap(({ mac, permanentMac }) => [mac ?? [], permanentMac ?? []].flat()));
}

/** The host without what is another machine's: as a new one, but for what the operator has taken from us here. */
export function withoutOrigin(observation: Observation, origin: string): Observation {
  const { host } = observation;
  const here = localMacs(host.links);
  const released = host.state.released.filter((mac) => here.has(mac));
  return {
    ...observation,
    host: {
      ...host,
      state: { ...EMPTY_STATE, released },
      files: host.files.filter((file) => !isOurs(file)),
    },
    rejectedState: {
      problem: `it is of another machine (${origin}), whose disk was copied`,
      asideName: 'state.json.other-machine',
      isUnreadable: false,
      isForeign: true,
    },
  };
}

/**
 * What a new machine needs, and then away with the files of the other one whose names nobody took. All of it waits for the
 * metadata to say again that this is another machine.
 */
export function asClonePlan(
  plan: Plan,
  { host: { files } }: Observation,
  primaryMac: MacAddress,
  origin: string,
): Plan {
  const taken = new Set(
    plan.steps.flatMap((step) => (step.kind === 'write-file' ? [step.arguments.path] : [])),
  );
  const removals = files.flatMap((file) => {
    const { path } = file;
    const ifname = ifnameOf(path);
    if (ifname === undefined || taken.has(path) || !isOurs(file)) return [];
    const nic = { mac: primaryMac, ifname };
    return [makeStep('remove-file', nic, { path, original: 'restore' }, `of another machine (${origin})`)];
  });
  return { ...plan, steps: [...plan.steps, ...removals].map((step) => ({ ...step, withdrawal: true })) };
}
