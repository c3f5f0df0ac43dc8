/** All checks, in the order in which they are told. */
import { checkOtherAgents } from './agents.ts';
import { checkCloudInit, checkNetworkManager, checkNetworkService } from './distribution.ts';
import type { Facts } from './facts.ts';
import { checkGateways, checkStaleFiles, checkTableNames } from './files.ts';
import { type Finding, SEVERITIES, type Verdict } from './findings.ts';
import { checkNode, checkQuota } from './machine.ts';
import { checkMetadata } from './metadata.ts';
import {
  checkConfiguration,
  checkDaemon,
  checkDenials,
  checkDuplicates,
  checkState,
  checkStatus,
} from './own.ts';
import { checkPublishedPorts, checkReturnPathFilter } from './replies.ts';
import { checkDefaults, checkLinkLocal } from './routes.ts';

const CHECKS = {
  configuration: checkConfiguration,
  daemon: checkDaemon,
  state: checkState,
  status: checkStatus,
  'second-default': checkDefaults,
  'link-local': checkLinkLocal,
  metadata: checkMetadata,
  gateway: checkGateways,
  'rp-filter': checkReturnPathFilter,
  'published-ports': checkPublishedPorts,
  'duplicate-address': checkDuplicates,
  'network-manager': checkNetworkManager,
  'network-service': checkNetworkService,
  'cloud-init': checkCloudInit,
  'other-agent': checkOtherAgents,
  'stale-file': checkStaleFiles,
  'table-names': checkTableNames,
  selinux: checkDenials,
  node: checkNode,
  quota: checkQuota,
} as const satisfies Record<string, (facts: Facts) => Verdict>;

export type CheckId = keyof typeof CHECKS;

export interface IdentifiedFinding extends Finding {
  readonly id: CheckId;
}

/** What `doctor --json` prints. */
export interface Diagnosis {
  /** The worst first. */
  readonly findings: readonly IdentifiedFinding[];
  /** Checks that were made as a whole. */
  readonly checked: readonly CheckId[];
  readonly unknown: readonly { readonly id: CheckId; readonly reason: string }[];
}

export const CHECK_IDS = Object.keys(CHECKS) as readonly CheckId[];

export function judge(facts: Facts): Diagnosis {
  const verdicts = CHECK_IDS.map((id) => ({ id, ...CHECKS[id](facts) }));
  const findings = verdicts.flatMap(({ id, findings }) => findings.map((finding) => ({ id, ...finding })));
  return {
    findings: SEVERITIES.flatMap((severity) => findings.filter((finding) => finding.severity === severity)),
    checked: verdicts.filter(({ unknown }) => unknown === null).map(({ id }) => id),
    unknown: verdicts.flatMap(({ id, unknown }) => (unknown === null ? [] : [{ id, reason: unknown }])),
  };
}
