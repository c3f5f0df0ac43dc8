/** The neutral model, written down by the operator: for clouds without a provider, for tests, and for trying things out. */
import * as v from 'valibot';
import { AgentError, errorMessage } from '../errors.ts';
import { createMemo } from '../model/memo.ts';
import {
  type InstanceMetadata,
  type InvalidNic,
  type NicMetadata,
  nicContradiction,
  withoutSharedAddresses,
} from '../model/metadata.ts';
import {
  type Family,
  familyOf,
  type IpAddress,
  type MacAddress,
  parseInterfaceAddress,
  parseIpAddress,
  parseMacAddress,
} from '../model/net.ts';
import { checkYaml, mapping, parsedText } from '../system/schema.ts';
import { readTrusted } from '../system/trust.ts';
import { formatProblems, parseYaml, type YamlFile, type YamlProblem } from '../system/yaml.ts';
import { orderAddresses, sortByMac } from './order.ts';
import type { MetadataProvider } from './provider.ts';

const mac = parsedText(parseMacAddress, "a MAC, such as '52:54:00:00:00:02'");
const interfaceAddress = parsedText(
  parseInterfaceAddress,
  'an IP address with its prefix length, such as 10.0.1.4/24',
);

const DOCUMENT = mapping({
  instanceId: v.nullish(v.pipe(v.string('allowed: text'), v.nonEmpty('allowed: text')), null),
  primaryMac: mac,
  interfaces: v.pipe(
    v.array(v.looseObject({ mac }, 'allowed: a mapping with a mac'), 'allowed: a list'),
    v.nonEmpty('required: at least one interface'),
  ),
});

const INTERFACE = mapping({
  mac,
  addresses: v.pipe(
    v.array(interfaceAddress, 'allowed: a list'),
    v.nonEmpty('required: at least one address'),
  ),
  gateway: v.exactOptional(parsedText((text) => parseFamily(text, 4), 'an IPv4 address')),
  gateway6: v.exactOptional(parsedText((text) => parseFamily(text, 6), 'an IPv6 address')),
});

export interface FileOptions {
  /** Where the kernel finds the file: `root` is already before it. */
  readonly path: string;
  /** The file says what root configures, so it must be root's own, like the folders from here to it. */
  readonly root: string;
}

export function createFileProvider({ path, root }: FileOptions): MetadataProvider {
  const memo = createMemo();
  const fetch = async (): Promise<InstanceMetadata> => {
    const bytes = await readFile(path, root);
    return memo.of('file', [Buffer.from(bytes).toString('latin1')], () => parseMetadataFile(bytes, path));
  };
  return {
    name: 'file',
    retryAfterMs: () => 0,
    // The file knows none.
    publicAddresses: () => Promise.resolve(new Map()),
    fetch,
    refresh: fetch,
    close: () => undefined,
  };
}

/**
 * An interface with a broken entry is `invalid` as long as its MAC can be read. Throws `metadata-malformed` with every
 * problem on a line, `name:LINE:COLUMN: …`, when the document is broken as a whole.
 */
export function parseMetadataFile(bytes: string | Uint8Array, name: string): InstanceMetadata {
  const parsed = parseYaml(bytes);
  if ('problems' in parsed) throw malformed(name, parsed.problems);
  const { file } = parsed;
  const checked = checkYaml(file, DOCUMENT);
  if ('problems' in checked) throw malformed(name, checked.problems);
  const { instanceId, primaryMac, interfaces } = checked.value;
  const readings = new Map<MacAddress, NicMetadata | InvalidNic>();
  for (const [index, entry] of interfaces.entries()) {
    const isRepeated = readings.has(entry.mac);
    readings.set(
      entry.mac,
      isRepeated ? repeated(file, name, index, entry.mac) : readNic(file, name, index, entry.mac),
    );
  }
  if (!readings.has(primaryMac)) {
    const at = file.valuePosition(['primaryMac']);
    throw malformed(name, [
      { at, text: `primaryMac: ${primaryMac}; allowed: the mac of one of the interfaces` },
    ]);
  }
  const all = [...readings.values()];
  const nics = all.filter((reading) => 'addresses' in reading);
  const invalid = all.filter((reading) => 'problem' in reading);
  return withoutSharedAddresses({
    instanceId,
    primaryMac,
    nics: sortByMac(nics),
    invalid: sortByMac(invalid),
  });
}

function readNic(file: YamlFile, name: string, index: number, mac: MacAddress): NicMetadata | InvalidNic {
  const path = ['interfaces', index];
  const checked = checkYaml(file, INTERFACE, path);
  if ('problems' in checked) return { mac, problem: formatProblems(name, checked.problems).join('; ') };
  const nic: NicMetadata = { ...checked.value, addresses: orderAddresses(checked.value.addresses) };
  const contradiction = nicContradiction(nic);
  if (contradiction === undefined) return nic;
  const at = file.valuePosition(path);
  return { mac, problem: formatProblems(name, [{ at, text: contradiction }]).join('') };
}

function repeated(file: YamlFile, name: string, index: number, mac: MacAddress): InvalidNic {
  const at = file.valuePosition(['interfaces', index, 'mac']);
  return { mac, problem: formatProblems(name, [{ at, text: `${mac} is listed twice` }]).join('') };
}

async function readFile(path: string, root: string): Promise<Uint8Array> {
  const bytes = await readTrusted(path, root).catch((error: unknown) => {
    if (error instanceof AgentError && error.code === 'config-untrusted') throw error;
    throw new AgentError('metadata-unreachable', errorMessage(error), { cause: error });
  });
  if (bytes === undefined)
    throw new AgentError('metadata-unreachable', `reading ${path}: there is no such file`);
  return bytes;
}

function malformed(name: string, problems: readonly YamlProblem[]): AgentError {
  return new AgentError('metadata-malformed', formatProblems(name, problems).join('\n'));
}

function parseFamily(text: string, family: Family): IpAddress | undefined {
  const address = parseIpAddress(text);
  return address !== undefined && familyOf(address) === family ? address : undefined;
}
