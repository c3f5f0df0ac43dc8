/** NICs that the operator took from us: what is ours there is given back, and nothing of it is wanted any more. */
import type { Config } from '../model/config.ts';
import type { DesiredInterface } from '../model/desired.ts';
import type { HostState } from '../model/host.ts';
import type { InstanceMetadata } from '../model/metadata.ts';
import type { Cidr, MacAddress } from '../model/net.ts';
import { excludedNetworks } from './addresses.ts';
import { withdrawnFiles } from './files.ts';
import { type CloudNic, findLink, formerConfig, lastGoodReading } from './nics.ts';

export const WANTS_NOTHING = {
  attached: false,
  mtu: null,
  addresses: [],
  routes: [],
  mainRoutes: [],
  rules: [],
  marks: [],
  sysctls: [],
} as const;

export interface ReleaseInput {
  readonly metadata: InstanceMetadata;
  readonly host: HostState;
  readonly config: Config;
}

/** One that was ours before. */
export function hasReleasedSecondary({ metadata, host }: ReleaseInput): boolean {
  const { released, nics } = host.state;
  return released.some((mac) => mac !== metadata.primaryMac && mac in nics);
}

/** Those of which something may still be there, whatever the metadata says of them now. Cleared ones leave no trace. */
export function releasedInterfaces(
  { metadata, host, config }: ReleaseInput,
  cloudNics: readonly CloudNic[],
  claimedPaths: ReadonlySet<string>,
): readonly DesiredInterface[] {
  return host.state.released.flatMap((mac): DesiredInterface[] => {
    const known = host.state.nics[mac];
    if (known === undefined || known.detachedAt !== null) return [];
    const link = findLink(mac, host.links);
    return [
      {
        mac,
        ifname: link?.ifname ?? known.ifname,
        linkIndex: link?.index ?? null,
        role: mac === metadata.primaryMac ? 'primary' : 'secondary',
        slot: known.slot,
        table: config.routing.tableBase + known.slot,
        released: 'all',
        excluded: untouchable(mac, cloudNics, { host, config }),
        files: withdrawnFiles(mac, host, claimedPaths),
        ...WANTS_NOTHING,
      },
    ];
  });
}

/** What is excluded stays on a NIC that is given back as well, and so does the primary NIC's primary address. */
function untouchable(
  mac: MacAddress,
  cloudNics: readonly CloudNic[],
  { host, config }: Pick<ReleaseInput, 'host' | 'config'>,
): readonly Cidr[] {
  const nic = cloudNics.find((entry) => entry.mac === mac);
  if (nic === undefined) return formerConfig(mac, host, config).excludeAddresses;
  const reading = nic.reading ?? lastGoodReading(mac, host);
  return reading === null ? nic.config.excludeAddresses : excludedNetworks({ ...nic, reading });
}
