/** Whether the metadata comes, soon enough, and by the NIC that it is believed from. */
import { MAIN_TABLE } from '../model/host.ts';
import { type Facts, type MetadataReading, type MetadataWay, primaryOf } from './facts.ts';
import { type Finding, notChecked, type Verdict, verdict } from './findings.ts';
import { checkDefaults, checkLinkLocal } from './routes.ts';
import { agent } from './shell.ts';

const SLOW_MS = 1_000;

export function checkMetadata(facts: Facts): Verdict {
  const { metadata } = facts;
  if ('unknown' in metadata) return notChecked(metadata.unknown);
  const detour = detourOf(metadata.value, facts);
  if (detour !== undefined) return verdict(...detour);
  return verdict(...troubleOf(metadata.value, facts));
}

/** undefined where the way is right. A route that has a finding of its own is not told of twice. */
function detourOf({ way }: MetadataReading, facts: Facts): readonly Finding[] | undefined {
  const primary = primaryOf(facts)?.link;
  if (way === null || primary === undefined) return undefined;
  const isRight = way.link === null || [primary.index, primary.masterIndex].includes(way.link.index);
  if (isRight) return undefined;
  const isToldOf =
    way.foreignRule === null &&
    [checkDefaults, checkLinkLocal].some((check) => check(facts).findings.length > 0);
  return isToldOf ? [] : [detourFinding(way, primary.ifname, facts)];
}

function detourFinding(way: MetadataWay, primary: string, facts: Facts): Finding {
  const { address, link, foreignRule, route } = way;
  const evidence = [`${address} leaves by ${link?.ifname}, and the primary NIC is ${primary}`];
  return {
    severity: 'error',
    title: `requests to the metadata service leave by ${link?.ifname}: what comes back is not believed`,
    evidence: [...evidence, ...(foreignRule === null ? [] : [`rule: ${foreignRule}`]), `route: ${route}`],
    fix: [fixOfDetour(way) ?? agent(facts, `explain ${address}`)],
  };
}

/** undefined for what cannot be typed: a rule of which not everything is known, a route of another table. */
function fixOfDetour({ foreignRule, mainRoute, link }: MetadataWay): string | undefined {
  if (foreignRule !== null) return foreignRule.includes('…') ? undefined : `ip rule del ${foreignRule}`;
  return mainRoute === null ? undefined : `ip route del ${mainRoute} dev ${link?.ifname} table ${MAIN_TABLE}`;
}

function troubleOf({ failure, durationMs, way }: MetadataReading, facts: Facts): readonly Finding[] {
  const fix = [agent(facts, 'config'), ...(way === null ? [] : [agent(facts, `explain ${way.address}`)])];
  if (failure !== null) {
    return [
      {
        severity: 'error',
        title: 'the metadata service gives no answer that can be used: nothing new is noticed',
        evidence: [failure],
        fix,
      },
    ];
  }
  if (durationMs <= SLOW_MS) return [];
  return [
    {
      severity: 'warning',
      title: `the metadata takes ${(durationMs / 1000).toFixed(1)} s to read: a new address is noticed so much later`,
      evidence: [`one reading took ${Math.round(durationMs)} ms; a few milliseconds are usual`],
      fix,
    },
  ];
}
