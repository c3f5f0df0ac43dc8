/** `explain`: which way a packet takes, what decided, and what is wrong with it. Looks at the kernel; changes nothing. */

import { AgentError } from '../errors.ts';
import { diagnose } from '../explain/diagnose.ts';
import { documentOf } from '../explain/document.ts';
import { tellStory } from '../explain/story.ts';
import { openRtnetlink } from '../kernel/socket.ts';
import { NO_MEMO } from '../model/memo.ts';
import { familyOf, type IpAddress, parseIpAddress } from '../model/net.ts';
import { explain, type Question } from '../reconcile/explain.ts';
import { createContext, type Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import type { Output } from './output.ts';

export interface ExplainOptions {
  readonly from?: string;
  readonly json?: boolean;
}

export async function runExplain(
  environment: Environment,
  destination: string,
  { from, json }: ExplainOptions,
): Promise<ExitCode> {
  const flow = parseFlow(destination, from);
  const { config, paths } = await createContext(environment);
  const rtnetlink = openRtnetlink();
  try {
    const findings = await explain(
      { observer: { rtnetlink, paths, wantsMarks: false, memo: NO_MEMO }, config },
      flow,
    );
    const problems = diagnose(findings);
    const document = documentOf(findings, problems);
    if (json === true) environment.output.json(document);
    else {
      const source = flow.source ?? 'an unbound socket';
      environment.output.line(`${flow.destination} from ${source}`);
      print(environment.output, tellStory(findings), document);
    }
    return problems.length === 0 ? EXIT.ok : EXIT.degraded;
  } finally {
    rtnetlink.close();
  }
}

/** `0.0.0.0` and `::` are nobody's. */
const NOBODY: readonly string[] = ['0.0.0.0', '::'];

function parseFlow(destinationText: string, sourceText: string | undefined): Question {
  const destination = parseAddress(destinationText, 'the destination');
  const source = sourceText === undefined ? null : parseAddress(sourceText, '--from');
  if (source !== null && familyOf(source) !== familyOf(destination)) {
    const problem = `the destination is IPv${familyOf(destination)}, --from ${source} is IPv${familyOf(source)}`;
    throw new AgentError('usage', `explaining ${destination}: ${problem}`);
  }
  return { destination, source };
}

function parseAddress(text: string, what: string): IpAddress {
  const address = parseIpAddress(text);
  if (address !== undefined && !NOBODY.includes(address)) return address;
  throw new AgentError(
    'usage',
    `explaining ${text}: ${what} has to be the IP address of a host, as 10.0.1.4 or 2001:db8::4`,
  );
}

const LABEL_WIDTH = 8;

function print(
  output: Output,
  lines: ReturnType<typeof tellStory>,
  { problems, notes }: ReturnType<typeof documentOf>,
): void {
  for (const { label, text } of lines)
    output.line(`  ${output.style('dim', label.padEnd(LABEL_WIDTH))} ${text}`);
  for (const note of notes) output.line(output.style('yellow', `  note: ${note}`));
  for (const { message } of problems) output.line(output.style('red', `! ${message}`));
  if (problems.length === 0) output.line(output.style('green', 'Nothing is wrong with it.'));
}
