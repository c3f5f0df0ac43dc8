/** The agent itself: its configuration, its service, its state, and what it says of the NICs. */
import { familyOf, formatInterfaceAddress } from '../model/net.ts';
import type { Facts } from './facts.ts';
import { type Finding, notChecked, type Verdict, verdict } from './findings.ts';
import { agent, pathIn } from './shell.ts';

const UNIT = 'eni-agent.service';

export function checkConfiguration(facts: Facts): Verdict {
  const { configProblem } = facts;
  if (configProblem === null) return verdict();
  return verdict({
    severity: 'error',
    title: 'the configuration cannot be used: no command and no daemon starts with it',
    evidence: configProblem.message.split('\n'),
    fix:
      configProblem.fixes.length > 0
        ? configProblem.fixes
        : [`vi ${pathIn(facts, '/etc/eni-agent/config.yaml')}`],
  });
}

/** Without a unit of ours nobody has said that one should run: `boot` and `reconfigure` do without. */
export function checkDaemon({ hasDaemon, surroundings }: Facts): Verdict {
  if ('unknown' in hasDaemon) return notChecked(hasDaemon.unknown);
  if (hasDaemon.value) return verdict();
  const service = 'value' in surroundings.service ? surroundings.service.value : null;
  const isInstalled = service !== null || 'unknown' in surroundings.service;
  const hasFailed = service?.active === 'failed';
  const severity = hasFailed ? 'error' : service === null ? 'hint' : 'warning';
  return verdict({
    severity,
    title: `${hasFailed ? 'the daemon has failed' : 'no daemon runs'}: what is attached or assigned from now on is not noticed before the next boot`,
    evidence: [
      'nobody answers on /run/eni-agent/control.sock',
      ...(service === null ? [] : [`${UNIT} is ${service.active}, result ${service.result}`]),
    ],
    fix: isInstalled
      ? [
          ...(hasFailed ? [`journalctl -u ${UNIT} -n 50 --no-pager`, `systemctl reset-failed ${UNIT}`] : []),
          `systemctl enable --now ${UNIT}`,
        ]
      : [],
  });
}

export function checkState(facts: Facts): Verdict {
  const { storageProblem } = facts;
  if (storageProblem === null) return verdict();
  return verdict({
    severity: 'error',
    title: 'what the agent remembers is not on the disk: after a power cut it does not know what it owns',
    evidence: [storageProblem],
    fix: [`df -h ${pathIn(facts, '/var/lib/eni-agent')}`, agent(facts, 'reconfigure')],
  });
}

export function checkStatus(facts: Facts): Verdict {
  const { status } = facts;
  if ('unknown' in status) return notChecked(status.unknown);
  const [first, ...others] = status.value;
  if (first === undefined) return verdict();
  return verdict({
    severity: 'warning',
    title: 'a NIC is not as the cloud assigned it; `eni-agent status` tells more',
    evidence: [others.length === 0 ? first : `${first} (and ${others.length} more)`],
    fix: [agent(facts, 'plan'), agent(facts, 'reconfigure')],
  });
}

export function checkDenials({ surroundings: { denials } }: Facts): Verdict {
  if ('unknown' in denials) return notChecked(denials.unknown);
  if (denials.value.length === 0) return verdict();
  return verdict({
    severity: 'error',
    title: 'SELinux denies the agent what it needs',
    evidence: denials.value,
    fix: [
      'restorecon -Rv /etc/eni-agent /var/lib/eni-agent /etc/sysconfig/network-scripts /etc/NetworkManager/system-connections',
      `systemctl restart ${UNIT}`,
    ],
  });
}

/** Only IPv6 tells: of IPv4 the kernel does not ask whether another host has it. */
export function checkDuplicates({ host, nics }: Facts): Verdict {
  const findings = host.links.flatMap(({ ifname, addresses }) =>
    addresses
      .filter(({ duplicate }) => duplicate)
      .map((entry): Finding => {
        const isListed = nics.some(({ listed }) => listed.includes(entry.address));
        const del = familyOf(entry.address) === 6 ? 'ip -6 addr del' : 'ip addr del';
        return {
          severity: 'error',
          title: `${entry.address} of ${ifname} is in use on another host: the kernel does not use it here`,
          evidence: [
            `${formatInterfaceAddress(entry)} dev ${ifname} dadfailed`,
            ...(isListed ? ['it is assigned to this VM: the other host has to give it up'] : []),
          ],
          fix: isListed ? [] : [`${del} ${formatInterfaceAddress(entry)} dev ${ifname}`],
        };
      }),
  );
  return verdict(...findings);
}
