/** What metrics are made of, and what docs and dashboards say of them. */
import { readFile } from 'node:fs/promises';
import type { PresentFacts, RunFacts } from '../../../src/metrics/registry.ts';
import type { IfName } from '../../../src/model/net.ts';
import { makeStep } from '../../../src/plan/step.ts';
import { ip, macOf } from '../builders.ts';

const ADDRESS = { linkIndex: 3, address: ip('10.0.1.4'), prefixLength: 24, deprecated: false };

export const RUN: RunFacts = {
  outcome: 'applied',
  steps: [
    makeStep('add-address', { mac: macOf(2), ifname: 'eth1' as IfName }, ADDRESS, 'assigned in metadata'),
  ],
  problems: [],
  durationMs: 3,
};

export const PRESENT: PresentFacts = {
  interfaces: [
    {
      name: 'eth1',
      mac: macOf(2),
      state: 'pending',
      addresses: ['configured', 'configured', 'missing', 'foreign', 'excluded', 'stale'].map((state) => ({
        state,
      })),
    },
  ],
  isMetadataUp: true,
  fights: 0,
};

/** Name and type of each. */
export async function documentedMetrics(): Promise<readonly (readonly [string, string])[]> {
  const page = await readFile(new URL('../../../docs/monitoring.md', import.meta.url), 'utf8');
  return [...page.matchAll(/^\| `(eni_agent_[a-z_]+)` \| (\w+) \|/gm)].map(
    ([, name = '', type = '']) => [name, type] as const,
  );
}
