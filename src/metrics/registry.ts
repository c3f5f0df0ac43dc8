/**
 * What the daemon counts, in Prometheus's words (https://prometheus.io/docs/practices/naming/): docs/monitoring.md says what each is. The only
 * importer of prom-client. Every label has few values: triggers, outcomes, kinds of steps, states, and at most 256 interfaces.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { NicProblem } from '../model/desired.ts';
import { NIC_STATES, type NicStatusName } from '../model/nic-states.ts';
import type { Step } from '../model/plan.ts';
import { OUTCOMES, type Outcome, TRIGGERS, type Trigger } from '../model/state.ts';
import type { Page } from '../system/control-socket.ts';
import { STEP_KINDS } from '../system/step-schema.ts';

/** More than a machine has, and as many as there are slots. */
const MOST_INTERFACES = 256;
/** Seconds. A run takes milliseconds, one that waits for something up to minutes. */
const RUN_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
/** Seconds. A request that fails takes `metadata.timeout`. */
const METADATA_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface RunFacts {
  readonly outcome: Outcome;
  /** Those that were done and stayed. */
  readonly steps: readonly Step[];
  readonly problems: readonly NicProblem[];
  readonly durationMs: number;
}

/** What is now, as `status` tells it. */
export interface PresentFacts {
  readonly interfaces: readonly {
    /** null without a link. */
    readonly name: string | null;
    readonly mac: string;
    readonly state: NicStatusName;
    readonly addresses: readonly { readonly state: string }[];
  }[];
  /** null before the first answer, good or not. */
  readonly isMetadataUp: boolean | null;
  /** NICs on which somebody else keeps undoing something. */
  readonly fights: number;
}

export type MetadataPart = 'request' | 'reading';

export interface Metrics {
  /** `facts`: null for a run that could do nothing at all. */
  ran(trigger: Trigger, facts: RunFacts | null): void;
  asked(part: MetadataPart, result: 'success' | 'failure', durationMs: number): void;
  /** The text format; `present`: null when it cannot be told now. */
  render(present: PresentFacts | null): Promise<Page>;
}

export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const run = createRunMetrics(registers, version);
  const metadata = createMetadataMetrics(registers);
  const present = createPresentMetrics(registers);
  return {
    ran: run,
    asked: (part, result, durationMs) => metadata[part].observe({ result }, durationMs / 1_000),
    render: async (facts) => {
      present(facts);
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

function createRunMetrics(registers: Registry[], version: string): Metrics['ran'] {
  const info = { name: 'eni_agent_build_info', help: 'The program that runs, and its Node.' };
  new Gauge({ ...info, registers, labelNames: ['version', 'node'] }).set(
    { version, node: process.versions.node },
    1,
  );
  new Gauge({ name: 'eni_agent_start_time_seconds', help: 'When this process began.', registers }).set(
    performance.timeOrigin / 1_000,
  );
  const { runs, failures, repairs } = createRunCounters(registers);
  const duration = new Histogram({
    name: 'eni_agent_reconcile_duration_seconds',
    help: 'Of a run, from the look at the host to what is remembered.',
    buckets: RUN_BUCKETS,
    registers,
  });
  const success = new Gauge({
    name: 'eni_agent_last_success_timestamp_seconds',
    help: 'When a run last ended with everything as it should be.',
    registers,
  });
  // Before the first there is no such time, and 0 would be 1970.
  success.remove();
  return (trigger, facts) => {
    runs.inc({ trigger, outcome: facts?.outcome ?? 'failed' });
    if (facts === null) return;
    duration.observe(facts.durationMs / 1_000);
    if (trigger === 'kernel') repairs.inc(facts.steps.filter(isRepair).length);
    for (const { stepKind } of facts.problems) if (stepKind !== undefined) failures.inc({ kind: stepKind });
    if (facts.outcome === 'in-sync' || facts.outcome === 'applied') success.setToCurrentTime();
  };
}

/** A throw follows what main routes, and comes and goes with each bridge of a container engine. */
function isRepair(step: Step): boolean {
  const isOfRoute = step.kind === 'add-route' || step.kind === 'remove-route';
  return !(isOfRoute && step.arguments.type === 'throw');
}

/** A series that begins with its first event has no increase by it: those that alerts are made of begin with 0. */
function createRunCounters(registers: Registry[]) {
  const runs = new Counter({
    name: 'eni_agent_runs_total',
    help: 'Runs, those that changed nothing too.',
    labelNames: ['trigger', 'outcome'],
    registers,
  });
  for (const trigger of TRIGGERS) for (const outcome of OUTCOMES) runs.inc({ trigger, outcome }, 0);
  const failures = new Counter({
    name: 'eni_agent_step_failures_total',
    help: 'Steps that the kernel or the disk refused, or that did not show afterwards.',
    labelNames: ['kind'],
    registers,
  });
  for (const kind of STEP_KINDS) failures.inc({ kind }, 0);
  const repairs = new Counter({
    name: 'eni_agent_drift_repairs_total',
    help: 'Steps that put back what somebody else changed in the kernel.',
    registers,
  });
  return { runs, failures, repairs };
}

function createMetadataMetrics(registers: Registry[]): Readonly<Record<MetadataPart, Histogram<'result'>>> {
  const options = { labelNames: ['result'] as const, buckets: METADATA_BUCKETS, registers };
  return {
    request: new Histogram({
      ...options,
      name: 'eni_agent_metadata_request_duration_seconds',
      help: 'Of one request to the metadata service, with its wait for a connection.',
    }),
    reading: new Histogram({
      ...options,
      name: 'eni_agent_metadata_reading_duration_seconds',
      help: 'Of one reading of all that is asked for, whose requests run side by side.',
    }),
  };
}

/** Each time anew: a NIC that is gone is gone here, too. */
function createPresentMetrics(registers: Registry[]): (facts: PresentFacts | null) => void {
  const labelNames = ['interface', 'mac'];
  const gauge = (name: string, help: string, labels: readonly string[] = []): Gauge =>
    new Gauge({ name: `eni_agent_${name}`, help, labelNames: [...labels], registers });
  const state = gauge('interface_state', '1 for the state that a NIC is in, 0 for the others.', [
    ...labelNames,
    'state',
  ]);
  const desired = gauge('interface_addresses_desired', 'Addresses that a NIC should have.', labelNames);
  const configured = gauge('interface_addresses_configured', 'Those of them that it has.', labelNames);
  const foreign = gauge(
    'interface_addresses_foreign',
    'Addresses that somebody else put on a NIC.',
    labelNames,
  );
  const fights = gauge('fights', 'NICs on which somebody else keeps undoing something.');
  const up = gauge('metadata_up', '1 when the metadata service answered the last reading, else 0.');
  return (facts) => {
    // One without labels would be 0 by a reset.
    for (const metric of [fights, up]) metric.remove();
    for (const metric of [state, desired, configured, foreign]) metric.reset();
    if (facts === null) return;
    fights.set(facts.fights);
    if (facts.isMetadataUp !== null) up.set(Number(facts.isMetadataUp));
    for (const nic of facts.interfaces.slice(0, MOST_INTERFACES)) {
      const labels = { interface: nic.name ?? '', mac: nic.mac };
      const count = (...states: readonly string[]): number =>
        nic.addresses.filter((entry) => states.includes(entry.state)).length;
      for (const each of NIC_STATES) state.set({ ...labels, state: each }, Number(each === nic.state));
      desired.set(labels, count('configured', 'missing'));
      configured.set(labels, count('configured'));
      foreign.set(labels, count('foreign'));
    }
  };
}
