/**
 * What an ENI keeps for life: its primary address, its subnet and its gateway. An answer that has another one is read again after a second
 * and believed if it says the same. One wrong gateway of the primary NIC, in one reading, would lead the agent's own questions into the
 * void, and nobody would ever tell it the right one.
 */

import { oncePer } from '../model/memo.ts';
import { type InstanceMetadata, type NicMetadata, primaryAddress } from '../model/metadata.ts';
import { formatInterfaceAddress, type MacAddress } from '../model/net.ts';

/** ENIs that come and go are not remembered for ever. */
const MOST_NICS = 256;
/** Of an ENI: what a lie replaced is right again at once. */
const MOST_LIVES = 2;

export interface Lifelong {
  /** What is otherwise than it ever was, a text for each ENI; in the same words when it is the same again. */
  departures(answer: InstanceMetadata): readonly string[];
  /** An answer that was believed. */
  learn(answer: InstanceMetadata): void;
}

/** `recall` gives the last good answer of an earlier process, if there is one. */
export function createLifelong(recall: () => InstanceMetadata | undefined): Lifelong {
  const lives = new Map<MacAddress, readonly string[]>();
  let isRecalled = false;

  function learn({ nics }: InstanceMetadata): void {
    for (const nic of nics) {
      const life = lifeOf(nic);
      const others = (lives.get(nic.mac) ?? []).filter((other) => other !== life);
      lives.delete(nic.mac);
      lives.set(nic.mac, [...others, life].slice(-MOST_LIVES));
    }
    for (const mac of [...lives.keys()].slice(0, -MOST_NICS)) lives.delete(mac);
  }

  return {
    learn,
    departures: ({ nics }) => {
      const before = isRecalled ? undefined : recall();
      isRecalled = true;
      if (before !== undefined) learn(before);
      return nics.flatMap((nic) => {
        const known = lives.get(nic.mac);
        const life = lifeOf(nic);
        return known === undefined || known.includes(life)
          ? []
          : [`${nic.mac} has ${life} instead of ${known.at(-1)}`];
      });
    },
  };
}

/** Of IPv4, the only family that a cloud's metadata has so far. */
const lifeOf = oncePer((nic: NicMetadata): string => {
  const primary = primaryAddress(nic, 4);
  return `${primary === undefined ? 'no address' : formatInterfaceAddress(primary)} via ${nic.gateway ?? 'no gateway'}`;
});
