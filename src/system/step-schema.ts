/** Steps as they are written to files of ours and read again. */
import * as v from 'valibot';
import { parseFilePath } from '../model/files.ts';
import { parseCidr, parseIfName, parseIpAddress, parseMacAddress } from '../model/net.ts';
import type { StepArguments, StepEntry, StepKind } from '../model/plan.ts';
import { SYSCTL_NAMES } from '../model/sysctl.ts';
import { isInterfaceAddress, parsedText } from './schema.ts';

const number = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff));
const ip = parsedText(parseIpAddress, 'an IP address');
const cidr = parsedText(parseCidr, 'a network');
const family = v.picklist([4, 6]);

/** What is written when a step is taken back: no file but those that the agent may write. */
export const FILE_PATH = parsedText(parseFilePath, 'the path of a file of an interface');

const address = v.pipe(
  v.object({ linkIndex: number, address: ip, prefixLength: number, deprecated: v.boolean() }),
  v.check((entry) => isInterfaceAddress(entry)),
);
const route = v.object({
  family,
  table: number,
  type: v.picklist(['unicast', 'throw', 'unreachable', 'blackhole', 'prohibit', 'other']),
  destination: cidr,
  nexthops: v.array(v.object({ gateway: v.nullable(ip), linkIndex: number })),
  metric: number,
  protocol: number,
  scope: number,
});
const rule = v.object({
  family,
  priority: number,
  table: number,
  source: v.nullable(cidr),
  outputInterface: v.nullable(parsedText(parseIfName, 'an interface name')),
  mark: v.nullable(v.object({ value: number, mask: number })),
  protocol: number,
});

const mark = v.object({
  family,
  ifname: parsedText(parseIfName, 'an interface name'),
  value: number,
  mask: number,
});

const ARGUMENTS = {
  'write-file': v.object({ path: FILE_PATH, content: v.string(), keepOriginal: v.boolean() }),
  'remove-file': v.object({ path: FILE_PATH, original: v.picklist(['keep', 'restore', 'leave']) }),
  'set-link-up': v.object({ linkIndex: number }),
  'set-mtu': v.object({ linkIndex: number, mtu: number, before: number }),
  'set-sysctl': v.object({
    linkIndex: number,
    name: v.picklist(SYSCTL_NAMES),
    value: v.pipe(v.number(), v.integer()),
    before: v.pipe(v.number(), v.integer()),
  }),
  'add-address': address,
  'remove-address': address,
  'add-route': route,
  'remove-route': route,
  'add-rule': rule,
  'remove-rule': rule,
  'add-mark': mark,
  'remove-mark': mark,
} satisfies { readonly [Kind in StepKind]: v.GenericSchema<unknown, StepArguments[Kind]> };

function stepSchema<const Kind extends keyof typeof ARGUMENTS>(kind: Kind) {
  return v.object({
    kind: v.literal(kind),
    mac: parsedText(parseMacAddress, 'a MAC address'),
    interface: parsedText(parseIfName, 'an interface name'),
    reason: v.string(),
    withdrawal: v.boolean(),
    arguments: ARGUMENTS[kind],
  });
}

const kernelSteps = [
  stepSchema('set-link-up'),
  stepSchema('set-mtu'),
  stepSchema('set-sysctl'),
  stepSchema('add-address'),
  stepSchema('remove-address'),
  stepSchema('add-route'),
  stepSchema('remove-route'),
  stepSchema('add-rule'),
  stepSchema('remove-rule'),
] as const;

export const KERNEL_STEP = v.variant('kind', kernelSteps);
export const STEP = v.variant('kind', [
  ...kernelSteps,
  stepSchema('write-file'),
  stepSchema('remove-file'),
  stepSchema('add-mark'),
  stepSchema('remove-mark'),
]);

export const STEP_KINDS = Object.keys(ARGUMENTS) as readonly StepKind[];

/** CONTRACT, a step of `plan --json`. */
export const STEP_ENTRY = v.object({
  kind: v.picklist(STEP_KINDS),
  interface: v.string(),
  mac: v.string(),
  target: v.string(),
  reason: v.string(),
}) satisfies v.GenericSchema<unknown, StepEntry>;
