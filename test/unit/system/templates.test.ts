import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadTemplates } from '../../../src/system/templates.ts';

const SHIPPED = fileURLToPath(new URL('../../../templates/', import.meta.url));

describe('loading the templates', () => {
  let directory = '';

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'eni-agent-templates-'));
    await cp(SHIPPED, directory, { recursive: true });
  });

  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  test('compiles text as it stands: no escaping, no line ends lost', async () => {
    await writeFile(join(directory, 'rule.eta'), '<%= it.text %>\n<%= it.text %>\n');
    const templates = await loadTemplates(directory);
    expect(templates.rule({ text: '"<&>"' })).toBe('"<&>"\n"<&>"\n');
  });

  test('names the file that is missing', async () => {
    await rm(join(directory, 'route6.eta'));
    await expect(loadTemplates(directory)).rejects.toMatchObject({
      code: 'render-failed',
      message: expect.stringMatching(/^reading template .*route6\.eta: ENOENT/),
    });
  });

  test('names the file that is broken', async () => {
    await writeFile(join(directory, 'ifcfg.eta'), '<% for ( { %>\n');
    await expect(loadTemplates(directory)).rejects.toMatchObject({
      code: 'render-failed',
      message: expect.stringMatching(/^compiling template .*ifcfg\.eta: /),
    });
  });

  test("takes the operator's template before the shipped one, and names it when it is broken", async () => {
    const override = (text: string) => async (fileName: string) =>
      fileName === 'rule.eta' ? { path: '/etc/eni-agent/templates/rule.eta', text } : undefined;
    const templates = await loadTemplates(directory, override('ours <%= it.rules.length %>'));
    expect(templates.rule({ rules: [] })).toBe('ours 0');
    expect(templates.route({ ifname: 'eth1', routes: [] })).toBe('# Managed by eni-agent.\n');
    await expect(loadTemplates(directory, override('<% if ( %>'))).rejects.toThrow(
      '/etc/eni-agent/templates/rule.eta',
    );
  });
});
