/** Every command that the README shows works as it says. */
import { readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';

/** Run by `.ci/run` from a fresh clone; the last one is the run that this test is part of. */
const BY_CI = ['npm ci && npm run build', 'npm ci && npm test'];

async function readCommands(): Promise<readonly string[]> {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const blocks = [...readme.matchAll(/```sh\n(.*?)```/gs)].map(([, block]) => block ?? '');
  return blocks
    .flatMap((block) => block.split('\n').map((line) => line.replace(/\s+#.*$/, '').trim()))
    .filter((line) => line !== '');
}

test('every command of the README runs and exits 0', async () => {
  const lab = await openLab();
  await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  const file = lab.vm.path('/new.yaml');
  await writeFile(file, 'routing: { primary: always }\n');
  const commands = (await readCommands()).filter((command) => !BY_CI.includes(command));
  expect(commands.length).toBeGreaterThan(6);
  for (const command of commands) {
    const [, args] = /^(?:eni-agent|node dist\/cli\.js) (.+)$/.exec(command) ?? [];
    expect(args, `${command}: neither the program nor a command of CI`).toBeDefined();
    const { exitCode, stderr } = await lab.vm.agent((args ?? '').replace('FILE', file).split(' '));
    expect({ exitCode, stderr }, command).toEqual({ exitCode: 0, stderr: '' });
  }
});

test('the commands of CI are run by CI', async () => {
  const script = await readFile(new URL('../../.ci/run', import.meta.url), 'utf8');
  const runner = await readFile(new URL('../run.ts', import.meta.url), 'utf8');
  expect(script).toMatch(/^npm ci$/m);
  expect(script).toMatch(/^npm test/m);
  expect(runner).toContain("['run', '--silent', 'build']");
});

test('the configuration of the README is valid', async () => {
  const lab = await openLab();
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const [, yaml = ''] = /```yaml\n(.*?)```/s.exec(readme) ?? [];
  await lab.attachEni({ addresses: ['10.0.1.4'] });
  const result = await lab.vm.agent(['plan'], { config: yaml });
  expect(result).toMatchObject({ exitCode: 0, stderr: '' });
});
