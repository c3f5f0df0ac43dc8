/** Whoever types into a shell of the VM, where `eni-agent` is in the path and works on the VM's files. */
import { mkdir, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { inNamespace } from './netns.ts';
import type { CommandResult, Vm } from './vm.ts';

const CLI = new URL('../../dist/cli.js', import.meta.url).pathname;
/** Those that a VM has of its own, named to a program that is not ours. */
const OWN_PATH = /(?<=[\s'"=]|^)\/(?=(?:etc|root|run|var\/lib)\/)/g;

/** Never throws for an exit code. What is printed has the VM's paths as the VM has them. */
export async function typeIn(vm: Vm, command: string): Promise<CommandResult & { readonly output: string }> {
  const folder = vm.path('/usr/bin');
  await mkdir(folder, { recursive: true });
  const shim = `#!/bin/sh\nexec ${process.execPath} ${CLI} --root ${vm.root} "$@"\n`;
  await writeFile(`${folder}/eni-agent`, shim, { mode: 0o755 });
  const [file, ...args] = inNamespace(vm.namespace, ['sh', '-e', '-c', withOwnPaths(command, vm.root)]);
  const home = vm.path('/root');
  await mkdir(home, { recursive: true });
  const { exitCode, stdout, stderr, all } = await execa(file, args, {
    cwd: home,
    env: { PATH: `${folder}:${process.env['PATH']}`, LC_ALL: 'C.UTF-8' },
    stdin: 'ignore',
    all: true,
    reject: false,
  });
  const seen = (text: string): string => text.replaceAll(`--root ${vm.root} `, '').replaceAll(vm.root, '');
  return { exitCode: exitCode ?? -1, stdout: seen(stdout), stderr: seen(stderr), output: seen(all) };
}

/** `eni-agent` finds its files by --root. */
function withOwnPaths(command: string, root: string): string {
  return command.startsWith('eni-agent ') ? command : command.replaceAll(OWN_PATH, `${root}/`);
}
