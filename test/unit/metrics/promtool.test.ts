/** What Prometheus's own program says of the metrics and of the alerts; and that both, and the dashboard, are about the same names. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import * as v from 'valibot';
import { expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { createMetrics } from '../../../src/metrics/registry.ts';
import { documentedMetrics, PRESENT, RUN } from './facts.ts';

const FOLDER = path.join(import.meta.dirname, '../../../packaging/monitoring');
const RULES = path.join(FOLDER, 'eni-agent.rules.yaml');
const PAGE = path.join(import.meta.dirname, '../../../docs/monitoring.md');
const DASHBOARD = path.join(FOLDER, 'eni-agent.dashboard.json');

const RULE_FILE = v.object({
  groups: v.array(
    v.object({
      rules: v.array(v.object({ alert: v.string(), annotations: v.record(v.string(), v.string()) })),
    }),
  ),
});

/** What promtool plays, with a sample each minute, and at which minutes the alert fires or does not; no other one ever does. */
interface Case {
  readonly alert: string;
  readonly what: string;
  /** Series and its samples: `0x9 1x4` is ten times 0, then five times 1. */
  readonly series: Readonly<Record<string, string>>;
  readonly fires: readonly number[];
  readonly quiet: readonly number[];
}

const VM = 'instance="vm"';
const NIC = `${VM},interface="eth1",mac="m"`;

const CASES: readonly Case[] = [
  {
    alert: 'EniAgentDown',
    what: 'no answer from minute 10 to 40',
    series: { [`up{job="eni-agent",${VM}}`]: '1x9 0x30 1x10' },
    fires: [15, 40],
    quiet: [14, 41],
  },
  {
    alert: 'EniAgentDown',
    what: 'each second scrape is lost',
    series: { [`up{job="eni-agent",${VM}}`]: '1 0 1 0 1 0 1 0 1 0 1 0 1 0 1 0' },
    fires: [],
    quiet: [5, 10, 15],
  },
  {
    alert: 'EniAgentRestarting',
    what: 'starts in minutes 10, 20 and 30',
    series: { [`eni_agent_start_time_seconds{${VM}}`]: '0x9 600x9 1200x9 1800x60' },
    fires: [30, 60],
    quiet: [29, 71],
  },
  {
    alert: 'EniAgentRestarting',
    what: 'an upgrade, and an operator who starts it again',
    series: { [`eni_agent_start_time_seconds{${VM}}`]: '0x9 600x9 1200x30' },
    fires: [],
    quiet: [20, 30],
  },
  ...['/var/lib/node_exporter/textfile_collector/eni-agent.prom', 'eni-agent.prom'].map((file) => ({
    alert: 'EniAgentTextfileStale',
    what: `${file} is written again in minute 41`,
    series: { [`node_textfile_mtime_seconds{${VM},file="${file}"}`]: '0x40 2460+60x20' },
    fires: [21, 40],
    quiet: [20, 41],
  })),
  {
    alert: 'EniAgentTextfileStale',
    what: 'the file of somebody else',
    series: { [`node_textfile_mtime_seconds{${VM},file="/prom/other-eni-agent.prom"}`]: '0x40' },
    fires: [],
    quiet: [40],
  },
  {
    alert: 'EniAgentMetadataFailing',
    what: 'no answer from minute 10 to 30',
    series: { [`eni_agent_metadata_up{${VM}}`]: '1x9 0x20 1x5' },
    fires: [20, 30],
    quiet: [19, 31],
  },
  {
    alert: 'EniAgentInterfaceDegraded',
    what: 'degraded, failed, and degraded again, from minute 10 to 35',
    series: {
      [`eni_agent_interface_state{${NIC},state="degraded"}`]: '0x9 1x4 0x4 1x15 0x5',
      [`eni_agent_interface_state{${NIC},state="failed"}`]: '0x9 0x4 1x4 0x15 0x5',
      [`eni_agent_interface_state{${NIC},state="in-sync"}`]: '1x9 0x4 0x4 0x15 1x5',
    },
    fires: [20, 35],
    quiet: [19, 36],
  },
  ...['pending', 'detached'].map((state) => ({
    alert: 'EniAgentInterfaceNotInSync',
    what: `${state} from minute 10 to 50`,
    series: { [`eni_agent_interface_state{${NIC},state="${state}"}`]: '0x9 1x40 0x5' },
    fires: [40, 50],
    quiet: [39, 51],
  })),
  {
    alert: 'EniAgentInterfaceNotInSync',
    what: 'what somebody has chosen',
    series: Object.fromEntries(
      ['unmanaged', 'released', 'foreign-config'].map((state) => [
        `eni_agent_interface_state{${NIC},state="${state}"}`,
        '1x90',
      ]),
    ),
    fires: [],
    quiet: [90],
  },
  {
    alert: 'EniAgentStepsFailing',
    what: 'a step each minute, from minute 10 to 14, of two kinds',
    series: {
      [`eni_agent_step_failures_total{${VM},kind="add-route"}`]: '0x9 1 1 2 2 3x30',
      [`eni_agent_step_failures_total{${VM},kind="add-rule"}`]: '0x9 0 1 1 2 2x30',
    },
    fires: [14, 23],
    quiet: [9, 30],
  },
  {
    alert: 'EniAgentStepsFailing',
    what: 'a step that the third try does',
    series: { [`eni_agent_step_failures_total{${VM},kind="add-route"}`]: '0x9 1 2x30' },
    fires: [],
    quiet: [10, 15, 20],
  },
  {
    alert: 'EniAgentDriftFight',
    what: 'from minute 10 to 20',
    series: { [`eni_agent_fights{${VM}}`]: '0x9 1x10 0x5' },
    fires: [15, 20],
    quiet: [14, 21],
  },
  {
    alert: 'EniAgentDriftRecurring',
    what: 'in minutes 30, 90 and 150, with a restart of the daemon between',
    series: { [`eni_agent_drift_repairs_total{${VM}}`]: '0x29 1x59 2x29 0x29 1x120' },
    fires: [155, 200],
    quiet: [149, 215],
  },
  {
    alert: 'EniAgentDriftRecurring',
    what: 'many at once',
    series: { [`eni_agent_drift_repairs_total{${VM}}`]: '0x29 50x250' },
    fires: [],
    quiet: [31, 90, 150, 200],
  },
  {
    alert: 'EniAgentLastSuccessStale',
    what: 'none from minute 0 to 100',
    series: { [`eni_agent_last_success_timestamp_seconds{${VM}}`]: '0x100 6060+60x10' },
    fires: [66, 100],
    quiet: [65, 101],
  },
  {
    alert: 'EniAgentLastSuccessStale',
    what: 'none since the start',
    series: { [`eni_agent_start_time_seconds{${VM}}`]: '0x100' },
    fires: [66],
    quiet: [65],
  },
];

const HEALTHY = {
  [`up{job="eni-agent",${VM}}`]: '1x300',
  [`eni_agent_start_time_seconds{${VM}}`]: '0x300',
  [`eni_agent_metadata_up{${VM}}`]: '1x300',
  [`eni_agent_interface_state{${NIC},state="in-sync"}`]: '1x300',
  [`eni_agent_interface_state{${NIC},state="degraded"}`]: '0x300',
  [`eni_agent_runs_total{${VM},trigger="link",outcome="applied"}`]: '0+1x300',
  [`eni_agent_step_failures_total{${VM},kind="add-route"}`]: '0x300',
  [`eni_agent_drift_repairs_total{${VM}}`]: '0x300',
  [`eni_agent_last_success_timestamp_seconds{${VM}}`]: '0+60x300',
  [`eni_agent_fights{${VM}}`]: '0x300',
};

test('the metrics are as the conventions want them', async () => {
  const metrics = createMetrics('1.2.3');
  metrics.ran('link', RUN);
  metrics.asked('request', 'success', 2);
  metrics.asked('reading', 'failure', 2_000);
  const { text } = await metrics.render(PRESENT);
  const { exitCode, stdout, stderr } = await execa('promtool', ['check', 'metrics'], {
    input: text,
    reject: false,
  });
  expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: '', stderr: '' });
});

test('the rules are valid, each alert fires when it should, ends, and none fires without', async () => {
  const rules = await readRules();
  const names = rules.map(({ alert }) => alert);
  expect((await execa('promtool', ['check', 'rules', '--lint-fatal', RULES])).stdout).toContain(
    `${names.length} rules found`,
  );
  expect([...new Set(CASES.filter(({ fires }) => fires.length > 0).map(({ alert }) => alert))]).toEqual(
    names,
  );
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-rules-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const toTest = ({ series, alert, what, fires, quiet }: Case): object => ({
    name: `${alert}: ${what}`,
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: [...fires, ...quiet].map((minute) => ({
      expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
      eval_time: `${minute}m`,
      exp_samples: fires.includes(minute) ? [{ labels: `{alertname="${alert}"}`, value: 1 }] : [],
    })),
  });
  const healthy = { alert: 'none', what: 'a healthy VM', series: HEALTHY, fires: [], quiet: [5, 60, 300] };
  // JSON is YAML.
  const file = path.join(folder, 'tests.yaml');
  const tests = [...CASES, healthy].map(toTest);
  await writeFile(file, JSON.stringify({ rule_files: [RULES], evaluation_interval: '1m', tests }));
  const { exitCode, stdout, stderr } = await execa('promtool', ['test', 'rules', file], { reject: false });
  expect({ exitCode, stdout, stderr }).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('SUCCESS'),
  });
});

test('each alert says what it means and what to do, and its page has a section that goes on from there', async () => {
  const page = await readFile(PAGE, 'utf8');
  for (const { alert, annotations } of await readRules()) {
    expect(annotations['summary']).toMatch(/\{\{ \$labels\.instance \}\}/);
    expect(annotations['description']).toMatch(/`(?:eni-agent|systemctl|journalctl) /);
    expect(annotations['runbook_url']).toBe(
      `file:///usr/share/doc/eni-agent/monitoring.md#${alert.toLowerCase()}`,
    );
    expect(page).toContain(`\n### ${alert}\n`);
    expect(page).toContain(`\n| [\`${alert}\`](#${alert.toLowerCase()}) | `);
  }
});

test('rules and dashboard name metrics that there are', async () => {
  const known = (await documentedMetrics()).flatMap(([name, type]) =>
    type === 'histogram' ? `${name}_bucket` : name,
  );
  const dashboard = await readFile(DASHBOARD, 'utf8');
  const { panels } = JSON.parse(dashboard) as { panels: readonly { targets: readonly { expr: string }[] }[] };
  expect(panels.length).toBeGreaterThan(5);
  for (const text of [dashboard, await readFile(RULES, 'utf8')]) {
    const named = [...text.matchAll(/\beni_agent_[a-z_]+/g)].map(([name]) => name);
    expect([...new Set(named)].filter((name) => !known.includes(name))).toEqual([]);
  }
});

async function readRules(): Promise<
  readonly { readonly alert: string; readonly annotations: Readonly<Record<string, string>> }[]
> {
  const { groups } = v.parse(RULE_FILE, parse(await readFile(RULES, 'utf8')));
  return groups.flatMap(({ rules }) => rules);
}
