/** `doctor`: everything around the agent that will hurt, with its evidence and the fix. Changes nothing. */
import { lstat } from 'node:fs/promises';
import pkg from '../../package.json' with { type: 'json' };
import { defaultConfig } from '../config.ts';
import type { Facts } from '../doctor/facts.ts';
import type { Severity } from '../doctor/findings.ts';
import { type Diagnosis, type IdentifiedFinding, judge } from '../doctor/judge.ts';
import { AgentError } from '../errors.ts';
import { openRtnetlink, type Rtnetlink } from '../kernel/socket.ts';
import { createLog } from '../log.ts';
import { NO_MEMO } from '../model/memo.ts';
import { collectFacts, type Examination } from '../reconcile/doctor.ts';
import { NO_MEMORY } from '../reconcile/look.ts';
import type { Reconciler } from '../reconcile/reconcile.ts';
import { connectControl } from '../system/control-client.ts';
import { createPaths, type Paths } from '../system/paths.ts';
import { type Context, createContext, createReconciler, type Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { makeReport } from './make-report.ts';
import type { Output, Style } from './output.ts';
import { parseReport, type Report } from './report.ts';

export interface DoctorOptions {
  readonly json?: boolean;
  /** Of the .tar.gz that is to be written. */
  readonly bundle?: string;
}

export async function runDoctor(
  environment: Environment,
  { json, bundle }: DoctorOptions,
): Promise<ExitCode> {
  const { output } = environment;
  if (bundle !== undefined) await assertFree(bundle);
  const rtnetlink = openRtnetlink();
  try {
    const agent = await prepare(environment, rtnetlink);
    const { facts, report } = await examine(agent, rtnetlink);
    const diagnosis = judge(facts);
    if (json === true) output.json(diagnosis);
    else print(output, diagnosis);
    if (bundle !== undefined) {
      await writeBundle(bundle, agent.context, { facts, report, diagnosis });
      if (json !== true) output.line(`${bundle} is written; secrets are left out, addresses are not.`);
    }
    const isWell = diagnosis.findings.every(({ severity }) => severity === 'hint');
    return isWell ? EXIT.ok : EXIT.degraded;
  } finally {
    rtnetlink.close();
  }
}

/** Before all the work; the file itself is made in one step that replaces nothing. */
async function assertFree(file: string): Promise<void> {
  const isThere = await lstat(file).then(
    () => true,
    () => false,
  );
  if (!isThere) return;
  throw new AgentError(
    'usage',
    `writing ${file}: it is there already, and is not replaced; name another file`,
  );
}

interface Examined {
  readonly facts: Facts;
  /** null where there is none. */
  readonly report: Report | null;
}

async function writeBundle(
  file: string,
  { paths, config, sources }: Context,
  { facts, report, diagnosis }: Examined & { readonly diagnosis: Diagnosis },
): Promise<void> {
  const [{ collectBundle }, { writeArchive }] = await Promise.all([
    import('../reconcile/bundle.ts'),
    import('../system/archive.ts'),
  ]);
  const documents = {
    findings: diagnosis,
    status: report,
    config: { config, sources: Object.fromEntries(sources) },
  };
  const version = `eni-agent ${pkg.version}`;
  await writeArchive(
    file,
    'eni-agent-doctor',
    await collectBundle({ paths, host: facts.host, version, documents }),
  );
}

interface Agent {
  readonly context: Context;
  /** null where the configuration cannot be used. */
  readonly reconciler: Reconciler | null;
  readonly configProblem: Facts['configProblem'];
}

/** A configuration that cannot be used is a finding as any other, but for one that the operator names. */
async function prepare(environment: Environment, rtnetlink: Rtnetlink): Promise<Agent> {
  try {
    const context = await createContext(environment);
    const reconciler = await createReconciler(environment, context, rtnetlink);
    return { context, reconciler: { ...reconciler, memory: NO_MEMORY }, configProblem: null };
  } catch (error) {
    const { options, stderr } = environment;
    const isFinding = error instanceof AgentError && CONFIGURATION_ERRORS.includes(error.code);
    if (!isFinding || options.config !== undefined) throw error;
    const paths = createPaths(options.root);
    const log = createLog({ level: options.logLevel ?? 'warn', stream: stderr });
    const { fixes } = error.details as { readonly fixes?: readonly string[] };
    return {
      context: { ...defaultConfig({ name: paths.config, text: '' }), paths, log },
      reconciler: null,
      configProblem: { message: error.message, fixes: fixes ?? [] },
    };
  }
}

const CONFIGURATION_ERRORS: readonly string[] = ['config-invalid', 'config-untrusted'];

async function examine(
  { context, reconciler, configProblem }: Agent,
  rtnetlink: Rtnetlink,
): Promise<Examined> {
  const { paths, config, text } = context;
  try {
    const { report, ...said } = await askForStatus(paths, reconciler);
    const facts = await collectFacts({
      observer: { rtnetlink, paths, wantsMarks: false, memo: NO_MEMO },
      config,
      configText: text,
      configProblem,
      provider: reconciler?.provider ?? null,
      ...said,
      engines: pkg.engines.node,
    });
    return { facts, report };
  } finally {
    reconciler?.provider.close();
  }
}

type StatusFacts = Pick<Examination, 'hasDaemon' | 'status' | 'storageProblem' | 'leftToFiles'> &
  Pick<Examined, 'report'>;

/** The daemon's word when there is one. */
async function askForStatus(paths: Paths, reconciler: Reconciler | null): Promise<StatusFacts> {
  try {
    const daemon = await connectControl(paths.control);
    if (daemon !== null) return factsOf(parseReport(await daemon.status()));
    if (reconciler !== null) return factsOf(await makeReport(reconciler, null));
    const reason = 'no daemon runs, and the configuration cannot be used';
    return { ...NOTHING_SAID, hasDaemon: { value: false }, status: { unknown: reason } };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const unknown = { unknown: error.message };
    return { ...NOTHING_SAID, hasDaemon: unknown, status: unknown };
  }
}

const NOTHING_SAID = { storageProblem: null, leftToFiles: [], report: null } as const;

function factsOf(report: Report): StatusFacts {
  const { daemon, interfaces, storageProblem } = report;
  // What is pending the daemon does in a moment.
  const amiss: readonly string[] = ['degraded', 'failed', ...(daemon ? [] : ['pending', 'detached'])];
  const lines = interfaces
    .filter(({ state }) => amiss.includes(state))
    .map(({ name, mac, state, reason }) => `${name ?? mac}: ${state}: ${reason}`);
  return {
    hasDaemon: { value: daemon },
    status: { value: lines },
    storageProblem,
    leftToFiles: interfaces.filter(({ state }) => state === 'foreign-config').map(({ mac }) => mac),
    report,
  };
}

const STYLES: Readonly<Record<Severity, Style>> = { error: 'red', warning: 'yellow', hint: 'dim' };
const COLUMNS = 80;

function print(output: Output, { findings, checked, unknown }: Diagnosis): void {
  for (const finding of findings) printFinding(output, finding);
  for (const { id, reason } of unknown)
    for (const line of wrap(`unknown: ${id}: ${reason}`, '')) output.line(output.style('dim', line));
  const found = findings.length === 0 ? 'Nothing is found' : `${findings.length} found`;
  output.line(`${found}; ${checked.length} checks made, ${unknown.length} could not be.`);
}

function printFinding(output: Output, { id, severity, title, evidence, fix }: IdentifiedFinding): void {
  for (const line of wrap(`${severity}: ${title} (${id})`, ''))
    output.line(output.style(STYLES[severity], line));
  for (const line of evidence.flatMap((text) => wrap(text, '    '))) output.line(line);
  for (const command of fix) output.line(`  ${output.style('bold', 'fix:')} ${command}`);
  output.line();
}

/** At words; one that is longer than the line stays whole. */
function wrap(text: string, indent: string): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last === undefined) lines.push(`${indent}${word}`);
    else if (last.length + 1 + word.length <= COLUMNS) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`${indent}  ${word}`);
  }
  return lines;
}
