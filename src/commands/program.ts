/** The command line: names, options, help. Every command is one function of this folder. */
import { Argument, Command, Option } from 'commander';
import pkg from '../../package.json' with { type: 'json' };
import { LOG_LEVELS } from '../model/config.ts';
import { nicsArgument, parseConfirm, parseTimeout, refuseAllAndNics } from './arguments.ts';
import type { Environment, GlobalOptions } from './context.ts';
import type { ExitCode } from './exit-codes.ts';
import {
  configCommand,
  doctorCommand,
  explainCommand,
  type Finish,
  graphCommand,
  historyCommand,
  type MakeEnvironment,
  planCommand,
  statusCommand,
} from './program-look.ts';
import type { ReconfigureOptions } from './reconfigure.ts';
import type { ReleaseOptions } from './release.ts';

const EXIT_CODES = `
Exit codes:
  0  in sync, or everything applied and verified (plan, --dry-run: also with changes pending)
  1  failed: nothing could be done
  2  wrong usage or invalid configuration; nothing was touched
  3  degraded: some NICs or addresses are not as they should be; the others are (explain, doctor: something is wrong)
  4  another run holds the lock, or a change waits for its confirmation
  5  plan --check: changes are pending`;

type Terminal = Omit<Environment, 'options'>;

/** `finish` is told the exit code of the command that ran. */
export function createProgram(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  const program = new Command('eni-agent')
    .description('Configures the elastic NICs and private IPs of this VM as its cloud assigned them.')
    .version(pkg.version)
    .option('--config <file>', 'the configuration; without it /etc/eni-agent/config.yaml below --root')
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
  const add = (command: Command, options: { hidden?: boolean } = {}): void => {
    command.copyInheritedSettings(program).showHelpAfterError(`(see eni-agent ${command.name()} --help)`);
    program.addCommand(command, options);
  };

  add(daemonCommand(environment, finish));
  add(bootCommand(environment, finish));
  add(reconfigureCommand(environment, finish));
  add(planCommand(environment, finish));
  add(statusCommand(environment, finish));
  add(graphCommand(environment, finish));
  add(explainCommand(environment, finish));
  add(doctorCommand(environment, finish));
  add(historyCommand(environment, finish));
  add(releaseCommand(environment, finish));
  add(sealCommand(environment, finish));
  add(configCommand(environment, finish));
  add(guardCommand(environment, finish), { hidden: true });
  return program;
}

function reconfigureCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('reconfigure')
    .description('apply what the cloud assigned, now, and verify it')
    .addArgument(nicsArgument())
    .option('--all', 'all NICs, those that were released too (without it and a NIC: all the others)')
    .option('--dry-run', 'show what would change and change nothing')
    .option('--json', 'print one JSON document')
    .addOption(
      new Option('--confirm <duration>', 'roll it back unless --commit comes within that time')
        .argParser(parseConfirm)
        .conflicts(['dryRun']),
    )
    .addOption(
      new Option('--commit', 'keep what --confirm has applied').conflicts(['confirm', 'dryRun', 'all']),
    )
    .addHelpText(
      'after',
      `
Examples:
  eni-agent reconfigure --dry-run        what would change, and why
  eni-agent reconfigure                  all NICs, but for those that were released
  eni-agent reconfigure eth1             eth1, and its rules on the primary NIC; ends its release
  eni-agent reconfigure --all            all NICs; ends every release
  eni-agent reconfigure 20:90:6f:63:98:cc --json
  eni-agent --config new.yaml reconfigure --confirm 60s
  eni-agent reconfigure --commit         you can still get in: keep it, new.yaml becomes the configuration`,
    )
    .action(async (nics: string[], options: ReconfigureOptions & { commit?: boolean }, command: Command) => {
      refuseAllAndNics(nics, options, command);
      if (options.commit === true) {
        if (nics.length > 0) command.error('error: --commit and a NIC exclude each other');
        return finish(await (await import('./confirm.ts')).runCommit(environment(), options));
      }
      const selection = nics.length === 0 ? null : nics;
      finish(await (await import('./reconfigure.ts')).runReconfigure(environment(), selection, options));
    });
}

function daemonCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('daemon')
    .description('run and keep the VM in its desired state (the systemd service)')
    .addHelpText(
      'after',
      `
SIGHUP reads the configuration and the templates again; SIGTERM ends it in good order.

Examples:
  eni-agent daemon
  eni-agent --log-level debug daemon`,
    )
    .action(async () => finish(await (await import('./daemon.ts')).runDaemon(environment())));
}

function bootCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('boot')
    .description('one shot at boot: wait for metadata and links, apply, verify, exit')
    .addOption(
      new Option('--timeout <duration>', 'when it is over, whatever is still missing')
        .default(60_000, '60s')
        .argParser(parseTimeout),
    )
    .addHelpText(
      'after',
      `
Without metadata it goes by the last good answer, and exits 3; without that either, 1.

Examples:
  eni-agent boot
  eni-agent boot --timeout 2m`,
    )
    .action(async ({ timeout }: { timeout: number }) => {
      finish(await (await import('./boot.ts')).runBoot(environment(), { timeoutMs: timeout }));
    });
}

/** What `reconfigure --confirm` starts. */
function guardCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('guard')
    .addArgument(new Argument('<id>'))
    .action(async (id: string) => finish(await (await import('./guard.ts')).runGuard(environment(), id)));
}

function releaseCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('release')
    .description('give back: remove all that the agent owns there and stop managing it')
    .addArgument(new Argument('[nic...]', 'interface name or MAC'))
    .option('--all', 'all NICs: the network is as it was without the agent')
    .option('--dry-run', 'show what would be given back and change nothing')
    .addHelpText(
      'after',
      `
It is remembered, also across a reboot, until reconfigure names the NIC or says --all.

Examples:
  eni-agent release eth1 --dry-run
  eni-agent release eth1                 and \`eni-agent reconfigure eth1\` takes it back
  eni-agent release --all                before the agent is removed`,
    )
    .action(async (nics: string[], options: ReleaseOptions & { all?: boolean }, command: Command) => {
      refuseAllAndNics(nics, options, command);
      if (options.all !== true && nics.length === 0) command.error('error: name a NIC, or say --all');
      finish(
        await (await import('./release.ts')).runRelease(
          environment(),
          nics.length === 0 ? null : nics,
          options,
        ),
      );
    });
}

function sealCommand(environment: MakeEnvironment, finish: Finish): Command {
  return new Command('seal')
    .description('prepare a disk image: remove everything that belongs to this one VM')
    .addHelpText(
      'after',
      `
The state and the files that were rendered for the NICs of this VM; the configuration and the templates stay. The network goes on
as it is until the VM is shut down, which should be next. The daemon must be stopped; with a disk that is mounted somewhere, say --root.

Examples:
  systemctl stop eni-agent.service && eni-agent seal && poweroff
  eni-agent --root /mnt/image seal`,
    )
    .action(async () => finish(await (await import('./seal.ts')).runSeal(environment())));
}
