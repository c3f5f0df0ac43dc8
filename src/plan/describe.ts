/** The words of a step: dry run, log, status, documentation and tests all show these. */
import { MAIN_TABLE, type Route } from '../model/host.ts';
import { formatMark } from '../model/mark.ts';
import { formatInterfaceAddress } from '../model/net.ts';
import type { RuleArguments, Step, StepEntry, StepKind } from '../model/plan.ts';

const SIGNS: Readonly<Record<StepKind, '+' | '-' | '~'>> = {
  'write-file': '+',
  'remove-file': '-',
  'set-link-up': '~',
  'set-mtu': '~',
  'set-sysctl': '~',
  'add-address': '+',
  'remove-address': '-',
  'add-route': '+',
  'remove-route': '-',
  'add-rule': '+',
  'remove-rule': '-',
  'add-mark': '+',
  'remove-mark': '-',
};

const NOUNS: Readonly<Record<StepKind, string>> = {
  'write-file': 'file',
  'remove-file': 'file',
  'set-link-up': 'link',
  'set-mtu': 'mtu',
  'set-sysctl': 'sysctl',
  'add-address': 'address',
  'remove-address': 'address',
  'add-route': 'route',
  'remove-route': 'route',
  'add-rule': 'rule',
  'remove-rule': 'rule',
  'add-mark': 'mark',
  'remove-mark': 'mark',
};

export function entryOf(step: Step): StepEntry {
  const { kind, mac, reason } = step;
  return { kind, interface: step.interface, mac, target: describeTarget(step), reason };
}

/** `+ address 10.0.1.5/24 on eth1 (assigned in metadata)`. That it is missing goes without saying: it is being added. */
export function describeEntry(entry: StepEntry): string {
  const reason = entry.reason.replace(/, missing.*$/, '');
  const line = `${SIGNS[entry.kind]} ${NOUNS[entry.kind]} ${entry.target} on ${entry.interface}`;
  return reason === '' ? line : `${line} (${reason})`;
}

/** Tells a step from all others of a plan, and is the same whenever it is planned again. */
export function stepKey(step: Step): string {
  return `${step.mac} ${step.kind} ${describeTarget(step)}`;
}

export function describeStep(step: Step): string {
  return describeEntry(entryOf(step));
}

const VERBS: Readonly<Record<string, string>> = {
  write: 'writing',
  remove: 'removing',
  add: 'adding',
  set: 'setting',
};

/** For messages: `adding route default via 10.0.1.1 table 21001 on eth1`. */
export function describeAction(step: Step): string {
  const verb = VERBS[step.kind.split('-')[0] ?? ''] ?? 'doing';
  return `${verb} ${NOUNS[step.kind]} ${describeTarget(step)} on ${step.interface}`;
}

/** The object that a step makes, changes or removes: the same for a step and its opposite. */
export function subjectOf(step: Step): string {
  switch (step.kind) {
    case 'set-mtu':
      return 'mtu';
    case 'set-sysctl':
      return step.arguments.name;
    default:
      return `${NOUNS[step.kind]} ${describeTarget(step)}`;
  }
}

/** What the step is about: `10.0.1.5/24`, `default via 10.0.1.1 table 21001`, a path. */
function describeTarget(step: Step): string {
  switch (step.kind) {
    case 'write-file':
    case 'remove-file':
      return step.arguments.path;
    case 'set-link-up':
      return 'up';
    case 'set-mtu':
      return String(step.arguments.mtu);
    case 'set-sysctl':
      return `net.ipv4.conf.${step.interface}.${step.arguments.name}=${step.arguments.value}`;
    case 'add-address':
    case 'remove-address':
      return formatInterfaceAddress(step.arguments);
    case 'add-route':
    case 'remove-route':
      return describeRoute(step.arguments);
    case 'add-rule':
    case 'remove-rule':
      return describeRule(step.arguments);
    case 'add-mark':
    case 'remove-mark':
      return `${formatMark(step.arguments)}${step.arguments.family === 6 ? ' (IPv6)' : ''}`;
  }
}

/** As `ip route` writes it, without the device (the step names the interface). */
function describeRoute(route: Route): string {
  const type = route.type === 'unicast' ? '' : `${route.type} `;
  const destination = route.destination.endsWith('/0') ? 'default' : route.destination;
  const gateways = route.nexthops
    .flatMap(({ gateway }) => (gateway === null ? [] : [` via ${gateway}`]))
    .join('');
  const table = route.table === MAIN_TABLE ? '' : ` table ${route.table}`;
  // Both families have a default: the family tells them apart where no gateway does.
  const family = route.family === 6 && destination === 'default' && gateways === '' ? ' (IPv6)' : '';
  return `${type}${destination}${gateways}${table}${family}`;
}

/** As `ip rule` writes it. */
function describeRule(rule: RuleArguments): string {
  const source = rule.source === null ? '' : `from ${rule.source.replace(/\/(32|128)$/, '')} `;
  const output = rule.outputInterface === null ? '' : `oif ${rule.outputInterface} `;
  const mark = rule.mark === null ? '' : `fwmark ${formatMark(rule.mark)} `;
  const family = rule.source === null && rule.family === 6 ? ' (IPv6)' : '';
  return `${source}${output}${mark}lookup ${rule.table} priority ${rule.priority}${family}`;
}
