/** The command line of what looks and changes nothing. */
import { Argument, Command, Option } from 'commander';
import { nicsArgument } from './arguments.ts';
import type { ConfigOptions } from './config.ts';
import type { Environment } from './context.ts';
import type { DoctorOptions } from './doctor.ts';
import type { ExitCode } from './exit-codes.ts';
import type { ExplainOptions } from './explain.ts';
import type { GraphOptions } from './graph.ts';
import type { HistoryOptions } from './history.ts';
import type { PlanOptions } from './plan.ts';
import type { StatusOptions } from './status.ts';

export type MakeEnvironment = () => Environment;
export type Finish = (code: ExitCode) => void;

export function planCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('plan')
    .description('show what reconfigure would change, and why; changes nothing')
    .addArgument(nicsArgument())
    .option('--json', 'print one JSON document')
    .option('--check', 'exit 5 when changes are pending')
    .addHelpText(
      'after',
      `
Examples:
  eni-agent plan
  eni-agent plan eth1 --json
  eni-agent plan --check || echo "changes are pending, or something is wrong"`,
    )
    .action(async (nics: string[], options: PlanOptions) => {
      const isNamed = nics.length > 0;
      finish(
        await (await import('./plan.ts')).runPlan(environment(), isNamed ? nics : null, {
          ...options,
          resumes: isNamed,
        }),
      );
    });
}

export function statusCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('status')
    .description('show what is and what should be, per NIC and per address; asks nobody')
    .option('--json', 'print one JSON document')
    .option(
      '--watch',
      'keep it up to date until q or Ctrl-C, and show what changes (needs the daemon); --json: a document a line',
    )
    .addHelpText(
      'after',
      `
Examples:
  eni-agent status
  eni-agent status --watch
  eni-agent status --json | jq -r .state`,
    )
    .action(async (options: StatusOptions) =>
      finish(await (await import('./status.ts')).runStatus(environment(), options)),
    );
}

export function graphCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('graph')
    .description(
      'draw the NICs, addresses, tables and gateways of this VM, and its public addresses; asks nobody',
    )
    .addOption(
      new Option('--format <format>', 'of what is printed').choices(['svg', 'mermaid', 'dot']).default('svg'),
    )
    .option('--all', 'every address; without it those of a NIC that are like many others are counted')
    .addHelpText(
      'after',
      `
Examples:
  eni-agent graph > vm.svg
  eni-agent graph --format mermaid
  eni-agent graph --format dot | dot -Tpdf > vm.pdf`,
    )
    .action(async (options: GraphOptions) =>
      finish(await (await import('./graph.ts')).runGraph(environment(), options)),
    );
}

export function explainCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('explain')
    .description(
      'tell which way a packet takes, which rule decided, and what is wrong with it; changes nothing',
    )
    .addArgument(new Argument('<dest>', 'IP address that the packet goes to'))
    .option('--from <ip>', 'its source; without it the kernel chooses one, as for an unbound socket')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Exits 0 when the packet and its reply get through, 3 when something is wrong with the way; asks the kernel alone.

Examples:
  eni-agent explain 203.0.113.250
  eni-agent explain 203.0.113.250 --from 10.0.1.4
  eni-agent explain 2001:db8::1 --json | jq -r '.problems[].message'`,
    )
    .action(async (destination: string, options: ExplainOptions) => {
      finish(await (await import('./explain.ts')).runExplain(environment(), destination, options));
    });
}

export function doctorCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('doctor')
    .description('find what around the agent will hurt, each with its evidence and its fix; changes nothing')
    .option('--json', 'print one JSON document')
    .option('--bundle <file>', 'write what support needs to FILE, a .tar.gz without secrets')
    .addHelpText(
      'after',
      `
Exits 0 when nothing is found but hints, 3 when a warning or an error is. What could not be looked at is listed as unknown.

Examples:
  eni-agent doctor
  eni-agent doctor --json | jq -r '.findings[].fix[]'
  eni-agent doctor --bundle /root/eni-agent.tar.gz`,
    )
    .action(async (options: DoctorOptions) =>
      finish(await (await import('./doctor.ts')).runDoctor(environment(), options)),
    );
}

export function historyCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('history')
    .description('show the last runs that changed something, the newest last; asks nobody')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  eni-agent history
  eni-agent history --json | jq '.runs[-1]'`,
    )
    .action(async (options: HistoryOptions) =>
      finish((await import('./history.ts')).runHistory(environment(), options)),
    );
}

export function configCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('config')
    .description('show the effective configuration and where each value comes from')
    .option('--json', 'print one JSON document')
    .option('--check <file>', 'check a configuration file without using it')
    .addHelpText(
      'after',
      `
Examples:
  eni-agent config
  eni-agent config --check ./config.yaml`,
    )
    .action(async (options: ConfigOptions) =>
      finish(await (await import('./config.ts')).runConfig(environment(), options)),
    );
}
