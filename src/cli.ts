/** argv → command, exit code; nothing else. */
import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { EXIT, exitCodeOfError } from './commands/exit-codes.ts';
import { createOutput, printError } from './commands/output.ts';
import { createProgram } from './commands/program.ts';
import { AgentError } from './errors.ts';

/** By packaging/bundle.ts: where the templates are from a chunk's folder. */
declare const TEMPLATES_FROM_CHUNK: string | undefined;

const TEMPLATE_DIRECTORY = fileURLToPath(
  new URL(
    typeof TEMPLATES_FROM_CHUNK === 'undefined' ? '../templates' : TEMPLATES_FROM_CHUNK,
    import.meta.url,
  ),
);

async function main(argv: readonly string[]): Promise<number> {
  const output = createOutput(process.stdout, process.env);
  let exitCode: number = EXIT.ok;
  const program = createProgram(
    { output, stderr: process.stderr, templateDirectory: TEMPLATE_DIRECTORY },
    (code) => {
      exitCode = code;
    },
  );
  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const isExpected = error instanceof AgentError;
    const text = isExpected
      ? error.message
      : `internal error: ${error instanceof Error ? error.stack : String(error)}`;
    if (argv.includes('--json'))
      output.json({ error: { code: isExpected ? error.code : 'internal', message: text } });
    printError(process.stderr, text);
    return exitCodeOfError(error);
  }
}

async function run(): Promise<void> {
  process.exitCode = await main(process.argv);
}

void run();
