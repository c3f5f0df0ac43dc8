/** The machine itself: its size against what is assigned to it, and the Node that runs the agent. */
import type { Facts } from './facts.ts';
import { type Finding, type Verdict, verdict } from './findings.ts';

const GIB = 2 ** 30;

interface Quota {
  readonly enis: number;
  /** Of each, the primary one included. */
  readonly addresses: number;
}

/**
 * Of Tencent's product page, by cores and GB. Newer quotas are per instance type, so that more than these is nothing but a hint. The page
 * leaves out 4 cores with exactly 16 GB: here they have the larger one.
 */
function quotaOf(cores: number, memoryGb: number): Quota {
  if (cores > 12) return { enis: 8, addresses: 30 };
  if (cores >= 8) return { enis: 6, addresses: 20 };
  if (cores >= 4) return { enis: 4, addresses: memoryGb < 16 ? 10 : 20 };
  if (cores >= 2) return { enis: 2, addresses: 10 };
  return { enis: 2, addresses: memoryGb <= 1 ? 2 : 6 };
}

export function checkQuota({ nics, machine }: Facts): Verdict {
  // The kernel keeps some of the memory for itself.
  const memoryGb = Math.ceil(machine.memoryBytes / GIB);
  const quota = quotaOf(machine.cores, memoryGb);
  const present = nics.filter(({ listed }) => listed.length > 0);
  const full = present.filter(({ listed }) => listed.filter(isIpv4).length > quota.addresses);
  const evidence = [
    ...(present.length > quota.enis ? [`${present.length} ENIs; ${quota.enis} are listed`] : []),
    ...full.map(
      ({ link, listed }) =>
        `${link.ifname}: ${listed.filter(isIpv4).length} IPs; ${quota.addresses} are listed`,
    ),
  ];
  if (evidence.length === 0) return verdict();
  return verdict({
    severity: 'hint',
    title: `more is assigned than the product's table lists for ${machine.cores} cores and ${memoryGb} GB: the instance type has quotas of its own, or the next attach fails`,
    evidence,
    fix: [],
  });
}

function isIpv4(address: string): boolean {
  return !address.includes(':');
}

/** https://github.com/nodejs/release#release-schedule; a release that is not here is too young to have ended. */
const ENDS: Readonly<Record<number, string>> = {
  16: '2023-09-11',
  18: '2025-04-30',
  19: '2023-06-01',
  20: '2026-04-30',
  21: '2024-06-01',
  22: '2027-04-30',
  23: '2025-06-01',
  24: '2028-04-30',
  25: '2026-06-01',
};
/** Where the package with a Node of its own keeps it. */
const OWN_NODE = '/usr/lib/eni-agent/';

export function checkNode({ machine, host }: Facts): Verdict {
  const { nodeVersion, engines, today, nodePath } = machine;
  const evidence = [`Node ${nodeVersion}, ${nodePath}`];
  const fix = [fixOfNode(nodePath, host.distribution.release)];
  if (isOlder(nodeVersion, engines.replace(/^>=/, ''))) {
    const title = `Node ${nodeVersion} is older than the agent is made for (${engines})`;
    return verdict({ severity: 'warning', title, evidence, fix });
  }
  const end = ENDS[Number(nodeVersion.split('.')[0])];
  if (end === undefined || today < end) return verdict();
  const finding: Finding = {
    severity: 'hint',
    title: `Node ${nodeVersion} gets no security fixes any more, since ${end}`,
    evidence,
    fix,
  };
  return verdict(finding);
}

/** Releases 8 and 9 of Enterprise Linux have Node in streams; 7 has none that is new enough, and `yum` alone. */
function fixOfNode(nodePath: string, release: number | null): string {
  if (release === 7) return 'yum upgrade eni-agent-standalone';
  if (nodePath.startsWith(OWN_NODE)) return 'dnf upgrade eni-agent-standalone';
  return release === 8 || release === 9 ? 'dnf module switch-to nodejs:22' : 'dnf upgrade nodejs';
}

function isOlder(version: string, than: string): boolean {
  const [have, need] = [version, than].map((text) => text.split('.').map(Number));
  const differing = need?.findIndex((part, index) => part !== have?.[index]) ?? -1;
  return differing !== -1 && (have?.[differing] ?? 0) < (need?.[differing] ?? 0);
}
