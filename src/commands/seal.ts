/** `seal`: prepares the disk of this VM for an image. */
import { AgentError } from '../errors.ts';
import { seal } from '../reconcile/seal.ts';
import { connectControl } from '../system/control-client.ts';
import { createContext, type Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { count, printProblems } from './print-run.ts';

export async function runSeal(environment: Environment): Promise<ExitCode> {
  const { output } = environment;
  const { paths } = await createContext(environment);
  if ((await connectControl(paths.control)) !== null) {
    const advice = 'it would write everything again; first run: systemctl stop eni-agent.service';
    throw new AgentError('daemon-running', `sealing this disk: the daemon is running, and ${advice}`);
  }
  const { removed, restored, problems } = await seal(paths);
  for (const file of removed) output.line(output.style('red', `- ${file}`));
  for (const file of restored)
    output.line(output.style('yellow', `~ ${file} (what was there before is back)`));
  printProblems(
    output,
    problems.map((message) => ({ message })),
  );
  if (problems.length > 0) {
    output.line(output.style('red', 'Not sealed: what is left says which VM it was (see above).'));
    return EXIT.degraded;
  }
  const files = removed.length + restored.length;
  output.line(
    files === 0
      ? 'Sealed: there was nothing of this VM on the disk.'
      : `Sealed: ${count(removed.length, 'file')} removed, ${restored.length} put back. Shut the VM down before anything starts the agent again.`,
  );
  return EXIT.ok;
}
