/** A plan is data: steps with their reasons. The same words serve the dry run, the log, the status and the tests. */
import type { Deferral, NicProblem } from './desired.ts';
import type { Route, Rule } from './host.ts';
import type { ConnectionMark } from './mark.ts';
import type { IfName, InterfaceAddress, MacAddress } from './net.ts';
import type { SysctlName } from './sysctl.ts';

/** What each kind of step needs: enough to do it, and to undo it. */
export interface StepArguments {
  /** `keepOriginal` keeps what somebody else had there as `*.orig`. */
  readonly 'write-file': { readonly path: string; readonly content: string; readonly keepOriginal: boolean };
  /** `keep`: becomes `*.orig`; `restore`: a `*.orig` comes back in its place; `leave`: just removed. */
  readonly 'remove-file': { readonly path: string; readonly original: 'keep' | 'restore' | 'leave' };
  readonly 'set-link-up': { readonly linkIndex: number };
  readonly 'set-mtu': { readonly linkIndex: number; readonly mtu: number; readonly before: number };
  readonly 'set-sysctl': {
    readonly linkIndex: number;
    readonly name: SysctlName;
    readonly value: number;
    readonly before: number;
  };
  readonly 'add-address': AddressArguments;
  readonly 'remove-address': AddressArguments;
  readonly 'add-route': Route;
  readonly 'remove-route': Route;
  readonly 'add-rule': RuleArguments;
  readonly 'remove-rule': RuleArguments;
  readonly 'add-mark': ConnectionMark;
  readonly 'remove-mark': ConnectionMark;
}

export interface AddressArguments extends InterfaceAddress {
  readonly linkIndex: number;
  readonly deprecated: boolean;
}

export type RuleArguments = Omit<Rule, 'foreign'>;

export type StepKind = keyof StepArguments;

export type StepOf<Kind extends StepKind> = Kind extends StepKind
  ? {
      readonly kind: Kind;
      /** The NIC on whose behalf it is done: the steps of one MAC that follow each other are one transaction. */
      readonly mac: MacAddress;
      readonly interface: IfName;
      readonly reason: string;
      /** The metadata stopped listing something: done only when enough equal answers say so. */
      readonly withdrawal: boolean;
      readonly arguments: StepArguments[Kind];
    }
  : never;

export type Step = StepOf<StepKind>;

/** CONTRACT, a step of `plan --json`: in words, for people and other programs. */
export interface StepEntry {
  readonly kind: StepKind;
  readonly interface: string;
  readonly mac: string;
  readonly target: string;
  readonly reason: string;
}

export type FileStepKind = 'write-file' | 'remove-file';
/** Of all NICs at once. */
export type MarkStepKind = 'add-mark' | 'remove-mark';
export type KernelStepKind = Exclude<StepKind, FileStepKind | MarkStepKind>;
export type KernelStep = StepOf<KernelStepKind>;
export type MarkStep = StepOf<MarkStepKind>;
export type FileStep = StepOf<FileStepKind>;

export interface Plan {
  /** In the order in which they are done. */
  readonly steps: readonly Step[];
  readonly deferrals: readonly Deferral[];
  readonly problems: readonly NicProblem[];
}
