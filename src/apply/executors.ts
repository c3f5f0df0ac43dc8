/**
 * How each kind of step is done and undone: a record over the same map as the steps, so that a kind without an executor, or
 * without its inverse, does not compile.
 */
import os from 'node:os';
import { addAddressRequest, removeAddressRequest } from '../kernel/addresses.ts';
import type { KernelRequest } from '../kernel/codec.ts';
import { linkDownRequest, linkUpRequest, mtuRequest, sysctlRequest } from '../kernel/links.ts';
import { type AddRouteOptions, addRouteRequest, removeRouteRequest } from '../kernel/routes.ts';
import { addRuleRequest, removeRuleRequest } from '../kernel/rules.ts';
import type {
  FileStep,
  KernelStep,
  KernelStepKind,
  MarkStep,
  StepArguments,
  StepKind,
  StepOf,
} from '../model/plan.ts';

export interface KernelQuirks {
  /** Gateways must be declared on the link: see needsOnlink(). */
  readonly onlink: boolean;
}

type MakeRequest<Kind extends KernelStepKind> = (
  args: StepArguments[Kind],
  options: AddRouteOptions,
) => KernelRequest;

interface KernelExecutor<Kind extends KernelStepKind> {
  readonly request: MakeRequest<Kind>;
  readonly inverse: MakeRequest<Kind>;
  /** Errors that say that it is so already. */
  readonly alreadyDone: readonly number[];
}

const { EEXIST, ESRCH, ENOENT, EADDRNOTAVAIL, ENODEV } = os.constants.errno;

const EXECUTORS: { readonly [Kind in KernelStepKind]: KernelExecutor<Kind> } = {
  'set-link-up': {
    request: ({ linkIndex }) => linkUpRequest(linkIndex),
    inverse: ({ linkIndex }) => linkDownRequest(linkIndex),
    alreadyDone: [],
  },
  'set-mtu': {
    request: ({ linkIndex, mtu }) => mtuRequest(linkIndex, mtu),
    inverse: ({ linkIndex, before }) => mtuRequest(linkIndex, before),
    alreadyDone: [],
  },
  'set-sysctl': {
    request: ({ linkIndex, name, value }) => sysctlRequest(linkIndex, name, value),
    inverse: ({ linkIndex, name, before }) => sysctlRequest(linkIndex, name, before),
    alreadyDone: [],
  },
  'add-address': { request: addAddressRequest, inverse: removeAddressRequest, alreadyDone: [EEXIST] },
  // ENODEV: the address went with its link.
  'remove-address': {
    request: removeAddressRequest,
    inverse: addAddressRequest,
    alreadyDone: [EADDRNOTAVAIL, ENODEV],
  },
  'add-route': { request: addRouteRequest, inverse: removeRouteRequest, alreadyDone: [] },
  'remove-route': { request: removeRouteRequest, inverse: addRouteRequest, alreadyDone: [ESRCH, ENODEV] },
  'add-rule': { request: addRuleRequest, inverse: removeRuleRequest, alreadyDone: [EEXIST] },
  'remove-rule': { request: removeRuleRequest, inverse: addRuleRequest, alreadyDone: [ENOENT, ESRCH] },
};

export function isFileStep(step: StepOf<StepKind>): step is FileStep {
  return step.kind === 'write-file' || step.kind === 'remove-file';
}

export function isMarkStep(step: StepOf<StepKind>): step is MarkStep {
  return step.kind === 'add-mark' || step.kind === 'remove-mark';
}

export function isKernelStep(step: StepOf<StepKind>): step is KernelStep {
  return !isFileStep(step) && !isMarkStep(step);
}

export function requestOf(step: KernelStep, options: AddRouteOptions): KernelRequest {
  return executorOf(step).request(step.arguments, options);
}

export function inverseOf(step: KernelStep, options: AddRouteOptions): KernelRequest {
  return executorOf(step).inverse(step.arguments, options);
}

export function isRemoval({ kind }: KernelStep): boolean {
  return kind.startsWith('remove-');
}

export function isAlreadyDone(step: KernelStep, errno: number): boolean {
  return executorOf(step).alreadyDone.includes(errno);
}

/** Step and executor share the kind, which the type system cannot follow through the union. */
function executorOf(step: KernelStep): KernelExecutor<KernelStepKind> {
  return EXECUTORS[step.kind] as unknown as KernelExecutor<KernelStepKind>;
}
