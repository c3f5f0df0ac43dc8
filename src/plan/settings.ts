/** What is set on the link itself: up, MTU, sysctls; and given back when it is not wanted any more. */
import type { DesiredInterface } from '../model/desired.ts';
import type { HostState, Link } from '../model/host.ts';
import type { Step } from '../model/plan.ts';
import { SYSCTL_NAMES } from '../model/sysctl.ts';
import { makeStep } from './step.ts';

/** Before any address is there. The primary is never set up: it is up, or somebody has a reason. */
export function settingSteps(desired: DesiredInterface, link: Link): readonly Step[] {
  const steps: Step[] = [];
  for (const { name, value, reason } of desired.sysctls) {
    const before = link.sysctls[name];
    if (before !== value) {
      steps.push(makeStep('set-sysctl', desired, { linkIndex: link.index, name, value, before }, reason));
    }
  }
  if (desired.mtu !== null && desired.mtu !== link.mtu) {
    const args = { linkIndex: link.index, mtu: desired.mtu, before: link.mtu };
    steps.push(makeStep('set-mtu', desired, args, 'listed in the configuration'));
  }
  if (!link.up && desired.attached && desired.role === 'secondary') {
    steps.push(makeStep('set-link-up', desired, { linkIndex: link.index }, `${link.ifname} is down`));
  }
  return steps;
}

/** Values that we set, that nobody changed since, and that nothing needs now. */
export function restoringSteps(desired: DesiredInterface, link: Link, host: HostState): readonly Step[] {
  const owned = host.state.nics[desired.mac];
  if (owned === undefined) return [];
  const steps: Step[] = [];
  for (const name of SYSCTL_NAMES) {
    const ours = owned.sysctls[name];
    const isWanted = desired.sysctls.some((entry) => entry.name === name);
    if (ours === undefined || isWanted || link.sysctls[name] !== ours.value) continue;
    const args = { linkIndex: link.index, name, value: ours.before, before: ours.value };
    // What needed it may be a NIC, or a neighbour in the subnet, that the metadata does not list any more.
    steps.push(makeStep('set-sysctl', desired, args, 'nothing needs our value any more', true));
  }
  if (owned.mtu !== null && desired.mtu === null && link.mtu === owned.mtu.value) {
    const args = { linkIndex: link.index, mtu: owned.mtu.before, before: owned.mtu.value };
    steps.push(makeStep('set-mtu', desired, args, 'nothing needs our value any more', !desired.attached));
  }
  return steps;
}
