/** NICs that the state has lost and our own files still tell of: whose they are, and which table they had. */
import { companionPaths, ifnameOf, isOurs, isProfile, subjectOf } from '../model/files.ts';
import type { HostFile, HostState } from '../model/host.ts';
import { type MacAddress, parseMacAddress } from '../model/net.ts';
import type { NicState } from '../model/state.ts';
import { SLOTS } from './slots.ts';

/** As a rule of every form writes it: its table has the same number. */
const PRIORITY = /\bpriority (\d+)\b/;

/**
 * The host with them in its state, so that a NIC that is here keeps its table and what is left of one that is gone goes. Addresses
 * are not claimed for them: those of a NIC that is here become ours with its file, others nobody can prove.
 */
export function withRebuiltNics(host: HostState, tableBase: number): HostState {
  const { nics } = host.state;
  const ours = host.files.filter(isOurs);
  const rebuilt = new Map<MacAddress, NicState>();
  const taken = new Set(Object.values(nics).map(({ slot }) => slot));
  for (const file of ours.filter(({ path }) => isProfile(path))) {
    const mac = parseMacAddress(subjectOf(file).mac ?? '');
    const nic = rebuild(file, ours, tableBase);
    if (mac === undefined || nic === undefined || mac in nics || taken.has(nic.slot)) continue;
    taken.add(nic.slot);
    rebuilt.set(mac, nic);
  }
  if (rebuilt.size === 0) return host;
  return { ...host, state: { ...host.state, nics: { ...nics, ...Object.fromEntries(rebuilt) } } };
}

function rebuild({ path }: HostFile, ours: readonly HostFile[], tableBase: number): NicState | undefined {
  const ifname = ifnameOf(path);
  if (ifname === undefined) return undefined;
  const files = ours.filter((file) => companionPaths(path).includes(file.path));
  const table = Number(PRIORITY.exec(files.map(({ content }) => content).join('\n'))?.[1]);
  const slot = table - tableBase;
  // The primary has no file.
  if (!Number.isInteger(slot) || slot < 1 || slot >= SLOTS) return undefined;
  const nothing = { detachedAt: null, addresses: [], routes: [], sysctls: {}, mtu: null };
  return { slot, ifname, ...nothing, files: files.map((file) => file.path) };
}
