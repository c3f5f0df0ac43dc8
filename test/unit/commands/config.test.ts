import { execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeFolder, removeFolder } from '../system/script.ts';

const CLI = new URL('../../../dist/cli.js', import.meta.url).pathname;

/** One value of each kind that the file has words of its own for. */
const VALUES = {
  'metadata.timeout': '500ms',
  'daemon.resyncInterval': '30s',
  'routing.forwarded': 'connmark',
  'routing.forwardedMask': 255,
  'metrics.listen': '[::1]:9101',
  'metrics.textfile': '/var/lib/node_exporter/textfile_collector/eni-agent.prom',
  'hooks.timeout': '5s',
};

test('the effective configuration is shown in the words of the file', async () => {
  const root = await makeFolder();
  onTestFinished(() => removeFolder(root));
  await mkdir(path.join(root, 'etc/eni-agent'), { recursive: true, mode: 0o755 });
  const sections = new Set(Object.keys(VALUES).map((key) => key.split('.')[0] ?? ''));
  const text = [...sections].map((section) => {
    const own = Object.entries(VALUES).filter(([key]) => key.startsWith(`${section}.`));
    return `${section}: ${JSON.stringify(Object.fromEntries(own.map(([key, value]) => [key.split('.')[1], value])))}\n`;
  });
  await writeFile(path.join(root, 'etc/eni-agent/config.yaml'), text.join(''), { mode: 0o644 });
  const shown = JSON.parse(
    execFileSync(process.execPath, [CLI, '--root', root, 'config', '--json'], { encoding: 'utf8' }),
  );
  for (const [key, value] of Object.entries(VALUES)) expect(shown[key], key).toMatchObject({ value });
});
