/** Replies that do not get through: the filter on return paths, and published ports. */
import type { NicFacts } from '../model/lookup.ts';
import { type Facts, managedSecondaries } from './facts.ts';
import { type Finding, notChecked, type Verdict, verdict } from './findings.ts';
import { agent, appendLine, pathIn } from './shell.ts';

const STRICT = 1;
/** Two or more lines of evidence are enough. */
const MOST_RULES = 3;
const SYSCTL_FILE = '/etc/sysctl.d/90-rp-filter.conf';
const CONFIG_FILE = '/etc/eni-agent/config.yaml';

/** Strict where packets are forwarded, or answered by another NIC: the kernel drops what comes in, without a word. */
export function checkReturnPathFilter(facts: Facts): Verdict {
  const { nics, surroundings, config } = facts;
  const isLoosened = ({ leftAlone }: NicFacts): boolean =>
    leftAlone === null && config.sysctl.rpFilter === 'loose';
  const reasons = nics.flatMap((nic) => {
    if (nics.length < 2 || effective(nic, facts) !== STRICT || isLoosened(nic)) return [];
    const answer = facts.answers.find((entry) => entry.nic === nic);
    const other = answer?.leavesBy ?? nic.link.ifname;
    if (other !== nic.link.ifname)
      return [{ nic, reason: `answers from ${answer?.source} leave by ${other}` }];
    return surroundings.isForwarding ? [{ nic, reason: 'it forwards (net.ipv4.ip_forward)' }] : [];
  });
  if (reasons.length === 0) return verdict();
  const names = reasons.map(({ nic }) => nic.link.ifname);
  const settings = names.map((name) => `net.ipv4.conf.${name}.rp_filter`);
  return verdict({
    severity: 'warning',
    title: `rp_filter is strict on ${names.join(', ')}: what comes in there is dropped when the answer would leave by another NIC`,
    evidence: reasons.map(
      ({ nic, reason }) =>
        `${nic.link.ifname}: all ${facts.host.allSysctls.rp_filter}, own ${nic.link.sysctls.rp_filter}; ${reason}`,
    ),
    fix: settings.flatMap((name) => [appendLine(facts, SYSCTL_FILE, `${name} = 2`), `sysctl -w ${name}=2`]),
  });
}

/** The kernel uses the larger one. */
function effective({ link }: NicFacts, { host }: Facts): number {
  return Math.max(host.allSysctls.rp_filter, link.sysctls.rp_filter);
}

/** No rule by source knows the address of a container: its answers leave by main's default route. */
export function checkPublishedPorts(facts: Facts): Verdict {
  const { translations } = facts.surroundings;
  const secondaries = managedSecondaries(facts);
  if (facts.config.routing.forwarded !== 'off' || secondaries.length === 0) return verdict();
  if ('unknown' in translations) return notChecked(translations.unknown);
  const [first] = translations.value;
  if (first === undefined) return verdict();
  const names = secondaries.map(({ link }) => link.ifname).join(', ');
  const finding: Finding = {
    severity: 'warning',
    title: `ports are published (DNAT), and answers of who is behind leave by the primary NIC, whichever NIC was asked: by ${names} they do not answer`,
    evidence: translations.value.slice(0, MOST_RULES),
    fix: [...configFix(facts), agent(facts, 'reconfigure')],
  };
  return verdict(finding);
}

/** Where the section is there in one line, only a person can say what is to become of it. */
function configFix(facts: Facts): readonly string[] {
  const path = pathIn(facts, CONFIG_FILE);
  const edit = `vi ${path} # routing: add forwarded: connmark`;
  // In one line with the rest.
  if (/^\s*\{/m.test(facts.configText)) return [edit];
  if (!/^["']?routing\b/m.test(facts.configText))
    return [`printf '\\nrouting:\\n  forwarded: connmark\\n' >> ${path}`];
  const [, indent] = /^routing:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*([ ]+)\S/m.exec(facts.configText) ?? [];
  if (/^\s+forwarded:/m.test(facts.configText))
    return [`sed -i 's/^\\( *forwarded:\\).*/\\1 connmark/' ${path}`];
  return indent === undefined ? [edit] : [`sed -i '/^routing:/a\\${indent}forwarded: connmark' ${path}`];
}
