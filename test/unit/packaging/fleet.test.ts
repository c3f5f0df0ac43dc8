/** What the Ansible role and the user data say is the same wherever it is said, and the program takes it. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { checkConfig } from '../../../src/config-file.ts';

const REPOSITORY = new URL('../../../', import.meta.url);
const ROLE = 'packaging/ansible/roles/eni_agent';

interface ArgumentSpecs {
  readonly argument_specs: Readonly<
    Record<string, { readonly options: Readonly<Record<string, { readonly default: unknown }>> }>
  >;
}

function read(file: string): string {
  return readFileSync(new URL(file, REPOSITORY), 'utf8');
}

const defaults = parse(read(`${ROLE}/defaults/main.yml`)) as Readonly<Record<string, unknown>>;

test('docs/fleet.md has every variable with its default, and but for the one of the playbook no other', () => {
  const rows = [...read('docs/fleet.md').matchAll(/^\| `(eni_agent_\w+)` \| `(.*?)` \|/gm)];
  const documented = rows.map(([, name = '', value = '']) => [name, parse(value) as unknown] as const);
  expect(Object.fromEntries(documented)).toEqual({ ...defaults, eni_agent_serial: [1, '100%'] });
  expect(read('packaging/ansible/eni-agent.yml')).toContain("eni_agent_serial | default([1, '100%'])");
});

test('the argument specification of each entry point has every variable with its default, and no other', () => {
  const { argument_specs: specs } = parse(read(`${ROLE}/meta/argument_specs.yml`)) as ArgumentSpecs;
  expect(Object.keys(specs)).toEqual(['main', 'check']);
  for (const { options } of Object.values(specs)) {
    const specified = Object.entries(options).map(([name, option]) => [name, option.default] as const);
    expect(Object.fromEntries(specified)).toEqual(defaults);
  }
});

test('the schema that the role checks against is that of the documentation', () => {
  expect(read(`${ROLE}/files/config.schema.json`)).toBe(read('docs/config.schema.json'));
});

test('the inventory of docs/fleet.md has variables that there are, and a configuration that the program takes', () => {
  const [, text = ''] = /^```yaml\n# inventory\.yml\n(.*?)^```/ms.exec(read('docs/fleet.md')) ?? [];
  const { vars } = (parse(text) as { eni_agent: { vars: Readonly<Record<string, unknown>> } }).eni_agent;
  const names = Object.keys(vars).filter((name) => name.startsWith('eni_agent_'));
  expect(names.length).toBeGreaterThan(2);
  expect(names.filter((name) => !(name in defaults))).toEqual([]);
  const { config } = checkConfig(JSON.stringify(vars['eni_agent_config']), 'inventory.yml');
  expect(config.interfaces).toHaveLength(1);
});

test('the configuration in the user data is one that the program takes', () => {
  const userData = parse(read('packaging/cloud-init/user-data.yaml')) as {
    write_files: readonly { readonly path: string; readonly content: string }[];
  };
  const [file] = userData.write_files;
  expect(file?.path).toBe('/etc/eni-agent/config.yaml');
  expect(checkConfig(file?.content ?? '', 'user-data.yaml').config.interfaces).toHaveLength(1);
});
