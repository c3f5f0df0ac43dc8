/** The command line: names, options, help. Every command is one function of this folder. */
import { Argument, Command, Option } from 'commander';
import pkg from '../../package.json' with { type: 'json' };
import type { LogLevel } from '../model/config.ts';
import { type ConfigOptions, runConfig } from './config.ts';
import type { Environment, GlobalOptions } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import { type PlanOptions, runPlan } from './plan.ts';
import { type ReconfigureOptions, runReconfigure } from './reconfigure.ts';
import { runStatus, type StatusOptions } from './status.ts';

const LOG_LEVELS: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];

const EXIT_CODES = `
Exit codes:
  0  in sync, or everything applied and verified (plan, --dry-run: also with changes pending)
  1  failed: nothing could be done
  2  wrong usage or invalid configuration; nothing was touched
  3  degraded: some NICs or addresses are not as they should be; the others are
  4  another run holds the lock
  5  plan --check: changes are pending`;

type Terminal = Omit<Environment, 'options'>;

/** `finish` is told the exit code of the command that ran. */
export function createProgram(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  const program = new Command('eni-agent')
    .description('Configures the elastic NICs and private IPs of this VM as its cloud assigned them.')
    .version(pkg.version)
    .addOption(
      new Option('--config <file>', 'configuration').default(undefined, '/etc/eni-agent/config.yaml'),
    )
    .option(
      '--root <dir>',
      'put DIR before every file path; the kernel stays that of this network namespace',
      '/',
    )
    .addOption(new Option('--log-level <level>', 'of the log on stderr').choices(LOG_LEVELS))
    .addHelpText('after', EXIT_CODES)
    .showHelpAfterError('(see eni-agent --help)')
    .exitOverride();
  const environment = (): Environment => ({ ...terminal, options: program.opts<GlobalOptions>() });
  const add = (command: Command): Command => program.addCommand(command.copyInheritedSettings(program));

  add(reconfigureCommand(environment, finish));
  add(planCommand(environment, finish));
  add(statusCommand(environment, finish));
  add(configCommand(environment, finish));
  return program;
}

type MakeEnvironment = () => Environment;
type Finish = (code: ExitCode) => void;

function nicsArgument(): Argument {
  return new Argument('[nic...]', 'interface name or MAC; what it implies on the primary NIC is included');
}

function reconfigureCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('reconfigure')
    .description('apply what the cloud assigned, now, and verify it')
    .addArgument(nicsArgument())
    .option('--all', 'all NICs (the default)')
    .option('--dry-run', 'show what would change and change nothing')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  eni-agent reconfigure --dry-run        what would change, and why
  eni-agent reconfigure                  all NICs
  eni-agent reconfigure eth1             eth1, and its rules on the primary NIC
  eni-agent reconfigure 20:90:6f:63:98:cc --json`,
    )
    .action(async (nics: string[], options: ReconfigureOptions & { all?: boolean }, command: Command) => {
      if (options.all === true && nics.length > 0) command.error('error: --all and a NIC exclude each other');
      finish(await runReconfigure(environment(), nics.length === 0 ? null : nics, options));
    });
}

function planCommand(environment: MakeEnvironment, finish: Finish): Command {
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
      finish(await runPlan(environment(), nics.length === 0 ? null : nics, options));
    });
}

function statusCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('status')
    .description('show what is and what should be, per NIC and per address; asks nobody')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Examples:
  eni-agent status
  eni-agent status --json | jq -r .state`,
    )
    .action(async (options: StatusOptions) => finish(await runStatus(environment(), options)));
}

function configCommand(environment: MakeEnvironment, finish: Finish): Command {
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
    .action(async (options: ConfigOptions) => finish(await runConfig(environment(), options)));
}
