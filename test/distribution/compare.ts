/** The files that the agent wrote, as whoever reads them at boot reads them, beside what they should mean. */
import { CONNECTIONS, isOurs, NETWORK_SCRIPTS } from '../../src/model/files.ts';
import { readIfcfgProfiles } from './ifcfg-rh.ts';
import { readKeyfiles } from './keyfile.ts';
import type { Folder, Link, Meaning } from './meaning.ts';
import { readNetworkScripts } from './network-scripts.ts';

export interface DistributionFile {
  readonly path: string;
  readonly content: string;
  /** Of the disk; without it the file is root's alone. */
  readonly mode?: number;
  readonly uid?: number;
}

export interface Reading {
  readonly program: string;
  readonly meaning: Meaning;
}

export interface Wanted {
  /** In their order. */
  readonly addresses: readonly string[];
  readonly rules: readonly string[];
  /** Each of `needed` and none beyond `allowed`. */
  readonly routes: { readonly needed: readonly string[]; readonly allowed: readonly string[] };
}

const PRIVATE = 0o100600;

/** What each of our files means to each program that it is for. The others' files are there as they are on the host. */
export function readOurFiles(files: readonly DistributionFile[], links: readonly Link[]): readonly Reading[] {
  const ours = new Set(files.filter(isOurs).map(({ path }) => path));
  const scripts: Folder = new Map(
    inFolder(files, NETWORK_SCRIPTS).map(({ name, content }) => [name, content]),
  );
  const isForScripts = (file: string): boolean => /^NM_CONTROLLED=no$/m.test(scripts.get(file) ?? '');
  const isOurScript = ({ file }: Meaning): boolean => ours.has(`${NETWORK_SCRIPTS}/${file}`);
  const keyfiles = inFolder(files, CONNECTIONS).map(
    ({ name, content, mode = PRIVATE, uid = 0 }) => [name, { content, mode, uid }] as const,
  );
  const named = (program: string, meanings: readonly Meaning[]) =>
    meanings.map((meaning) => ({ program, meaning }));
  return [
    ...([7, 8] as const).flatMap((release) =>
      named(
        `network-scripts of CentOS ${release}`,
        readNetworkScripts(scripts, links, { release }).filter(
          (entry) => isOurScript(entry) && isForScripts(entry.file),
        ),
      ),
    ),
    ...named("NetworkManager's ifcfg plugin", readIfcfgProfiles(scripts, links).filter(isOurScript)),
    ...named(
      'NetworkManager',
      readKeyfiles(new Map(keyfiles), links).filter(({ file }) => ours.has(`${CONNECTIONS}/${file}`)),
    ),
  ];
}

/**
 * A line for each thing that the program would say, and for each that it would do otherwise. Of a family in which the NIC has no
 * address (all are excluded, or gone) no packet takes the NIC's way: its rules and routes may be missing, or be refused.
 */
export function faultsOf({ program, meaning }: Reading, wanted: Wanted): readonly string[] {
  const { addresses, routes, rules, complaints } = meaning;
  const isDue = (entry: string): boolean =>
    addresses.some((address) => address.includes(':') === entry.startsWith('-6 '));
  const isForgiven = (text: string): boolean => addresses.length === 0 && text.includes('invalid gateway');
  const dueRules = wanted.rules.filter((rule) => isDue(rule) || rules.includes(rule));
  const missing = wanted.routes.needed.filter((route) => isDue(route) && !routes.includes(route));
  const faults = [
    ...complaints.filter((text) => !isForgiven(text)),
    ...differences('addresses', addresses, wanted.addresses),
    ...differences('rules', rules.toSorted(), dueRules.toSorted()),
    ...missing.map((route) => `no route ${route}`),
    ...routes
      .filter((route) => !wanted.routes.allowed.includes(route))
      .map((route) => `one more route: ${route}`),
  ];
  return faults.map((fault) => `${program} on ${meaning.file}: ${fault}`);
}

function differences(what: string, found: readonly string[], wanted: readonly string[]): readonly string[] {
  const isSame = found.length === wanted.length && found.every((entry, index) => entry === wanted[index]);
  return isSame
    ? []
    : [`${what} are ${found.join(', ') || 'none'}; wanted are ${wanted.join(', ') || 'none'}`];
}

function inFolder(files: readonly DistributionFile[], folder: string) {
  return files
    .filter(({ path }) => path.startsWith(`${folder}/`))
    .map((file) => ({ ...file, name: file.path.slice(folder.length + 1) }));
}
