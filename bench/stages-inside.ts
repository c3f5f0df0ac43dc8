/**
 * The stages of a run, one by one, in this process and on the kernel of the namespace that it was started in, with the program's own
 * parts: `stages-inside.mjs NICS ADDRESSES REPEATS ROOT TEMPLATES FLOOR`. Prints the milliseconds as JSON (`StageTimes`). FLOOR: bench/floor.c,
 * compiled; '' when there is no compiler.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { applySteps } from '../src/apply/apply.ts';
import { isKernelStep, requestOf } from '../src/apply/executors.ts';
import { undo } from '../src/apply/transaction.ts';
import { buildDesired } from '../src/desired/build.ts';
import { answersIn, splitBatches } from '../src/kernel/batches.ts';
import { encodeDatagram, type KernelRequest } from '../src/kernel/codec.ts';
import { needsOnlink } from '../src/kernel/routes.ts';
import { openRtnetlink } from '../src/kernel/socket.ts';
import { createMemo } from '../src/model/memo.ts';
import type { KernelStep } from '../src/model/plan.ts';
import type { Templates } from '../src/model/templates.ts';
import { observe, observeKernel } from '../src/observe/observe.ts';
import { describeAction } from '../src/plan/describe.ts';
import { planChanges } from '../src/plan/diff.ts';
import { verify } from '../src/plan/verify.ts';
import { createPaths } from '../src/system/paths.ts';
import { loadTemplates } from '../src/system/templates.ts';
import { configOf, eni, instance, optionsOf } from '../test/unit/builders.ts';
import { addressOf, gatewayOf } from './fleet.ts';

/** Milliseconds, a sample for each repetition. */
export interface StageTimes {
  /** Kernel objects that are set. */
  readonly objects: number;
  readonly observe: readonly number[];
  /** Without `render`. */
  readonly plan: readonly number[];
  /** The templates alone. */
  readonly render: readonly number[];
  readonly apply: readonly number[];
  readonly verify: readonly number[];
  readonly floorApply: readonly number[];
  readonly floorVerify: readonly number[];
}

type Stage = Exclude<keyof StageTimes, 'objects'>;

/** What the kernel grants of 1 MiB where net.core.rmem_max is the default; docs of socket.ts. */
const RECEIVE_BYTES = 416 * 1024;
const ACK = 0x04;
const US_PER_MS = 1_000;

async function main([
  nics,
  addresses,
  repeats,
  root,
  templateFolder,
  floor,
]: readonly string[]): Promise<StageTimes> {
  const size = { nics: Number(nics), addresses: Number(addresses) };
  const paths = createPaths(root ?? '');
  const rtnetlink = openRtnetlink();
  const kernel = { rtnetlink, quirks: { onlink: needsOnlink(os.release()) }, words: describeAction };
  const rendering = { ms: 0 };
  const templates = timed(await loadTemplates(templateFolder ?? '', async () => undefined), rendering);
  const config = configOf({});
  const metadata = instance(
    Array.from({ length: 1 + size.nics }, (_, nic) => {
      const count = nic === 0 ? 1 : size.addresses;
      const list = Array.from({ length: count }, (__, index) => addressOf(nic, index));
      return eni(nic + 1, list.join(' '), gatewayOf(nic));
    }),
  );
  const times = new Map<Stage, number[]>();
  const note = (stage: Stage, ms: number): void => void times.set(stage, [...(times.get(stage) ?? []), ms]);
  let objects = 0;
  for (let count = 0; count < Number(repeats); count += 1) {
    let at = performance.now();
    const lap = (): number => {
      const before = at;
      at = performance.now();
      return at - before;
    };
    const observer = { rtnetlink, paths, wantsMarks: false, memo: createMemo() };
    const { host } = await observe(observer);
    note('observe', lap());
    rendering.ms = 0;
    const desired = buildDesired({ metadata, host, config, templates });
    const plan = planChanges(host, desired, optionsOf(config));
    const planning = lap();
    note('render', rendering.ms);
    note('plan', planning - rendering.ms);
    const steps = plan.steps.filter(isKernelStep);
    if (plan.problems.length > 0 || plan.deferrals.length > 0)
      throw new Error(`planning: ${JSON.stringify([plan.problems[0], plan.deferrals[0]])}`);
    lap();
    const applied = await applySteps(steps, metadata.primaryMac, { kernel, paths });
    note('apply', lap());
    const failure = applied.find((entry) => entry.failure !== null)?.failure;
    if (failure !== undefined && failure !== null) throw failure;
    const done = applied.flatMap((entry) => entry.done);
    const now = await observeKernel(observer);
    const [problem] = verify({ host: { ...host, ...now }, desired, done }, optionsOf(config));
    note('verify', lap());
    if (problem !== undefined) throw new Error(problem.message);
    objects = done.length;
    await takeAway(done);
    if (floor === undefined || floor === '') continue;
    const file = path.join(paths.root, 'floor.bin');
    writeFileSync(file, messagesOf(steps, kernel.quirks));
    const [apply = '', verifying = ''] = execFileSync(floor, [file], { encoding: 'utf8' }).trim().split(' ');
    note('floorApply', Number(apply) / US_PER_MS);
    note('floorVerify', Number(verifying) / US_PER_MS);
    await takeAway(done);
  }
  rtnetlink.close();
  const of = (stage: Stage): readonly number[] => times.get(stage) ?? [];
  return {
    objects,
    observe: of('observe'),
    plan: of('plan'),
    render: of('render'),
    apply: of('apply'),
    verify: of('verify'),
    floorApply: of('floorApply'),
    floorVerify: of('floorVerify'),
  };

  async function takeAway(done: readonly KernelStep[]): Promise<void> {
    const left = await undo(kernel, done);
    if (left.length > 0) throw new Error(`undoing: ${left.length} objects are left`);
  }
}

/** The sum of what the templates take. */
function timed(templates: Templates, sum: { ms: number }): Templates {
  const entries = Object.entries(templates).map(([kind, template]) => [
    kind,
    (data: object) => {
      const begun = performance.now();
      const text = template(data);
      sum.ms += performance.now() - begun;
      return text;
    },
  ]);
  return Object.fromEntries(entries) as Templates;
}

/** The datagrams that the steps come to, one NIC after the other, as bench/floor.c takes them. */
function messagesOf(steps: readonly KernelStep[], quirks: { readonly onlink: boolean }): Buffer {
  const byNic = new Map<string, KernelRequest[]>();
  for (const step of steps) byNic.set(step.mac, [...(byNic.get(step.mac) ?? []), requestOf(step, quirks)]);
  let sequence = 1;
  const parts: Buffer[] = [];
  for (const requests of byNic.values()) {
    for (const batch of splitBatches(requests, answersIn(RECEIVE_BYTES))) {
      const last = batch.length - 1;
      const acknowledged = batch.map((request, index) =>
        index === last ? { ...request, flags: request.flags | ACK } : request,
      );
      const datagram = encodeDatagram(acknowledged, sequence);
      sequence += batch.length;
      const length = Buffer.alloc(4);
      length.writeUInt32LE(datagram.length);
      parts.push(length, datagram);
    }
  }
  return Buffer.concat(parts);
}

console.log(JSON.stringify(await main(process.argv.slice(2))));
