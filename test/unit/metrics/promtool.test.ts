/** What Prometheus's own program says of the metrics and of the alerts; and that both, and the dashboard, are about the same names. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { createMetrics } from '../../../src/metrics/registry.ts';
import { documentedMetrics, PRESENT, RUN } from './facts.ts';

const FOLDER = path.join(import.meta.dirname, '../../../packaging/monitoring');
const RULES = path.join(FOLDER, 'eni-agent.rules.yaml');
const DASHBOARD = path.join(FOLDER, 'eni-agent.dashboard.json');

/** promtool has a series and an alert for each of these: what it is, minutes later, and whether that alert fires. */
const ALERTS: readonly (readonly [string, string, string])[] = [
  ['EniAgentDown', 'up{job="eni-agent",instance="vm"}', '0x90'],
  ['EniAgentMetadataFailing', 'eni_agent_metadata_up{instance="vm"}', '0x90'],
  [
    'EniAgentInterfaceDegraded',
    'eni_agent_interface_state{instance="vm",interface="eth1",mac="m",state="degraded"}',
    '1x90',
  ],
  [
    'EniAgentRolledBack',
    'eni_agent_runs_total{instance="vm",trigger="link",outcome="rolled-back"}',
    '0x80 1x10',
  ],
  ['EniAgentDriftFight', 'eni_agent_fights{instance="vm"}', '1x90'],
  ['EniAgentLastSuccessStale', 'eni_agent_last_success_timestamp_seconds{instance="vm"}', '0x90'],
  [
    'EniAgentTextfileStale',
    'node_textfile_mtime_seconds{instance="vm",file="/var/lib/node_exporter/textfile_collector/eni-agent.prom"}',
    '0x90',
  ],
];

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

test('the rules are valid, each alert fires by what it is there for, and none fires without', async () => {
  expect((await execa('promtool', ['check', 'rules', RULES])).stdout).toContain(
    `${ALERTS.length} rules found`,
  );
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-rules-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const names = ALERTS.map(([name]) => name);
  const good = [
    { series: 'up{job="eni-agent",instance="vm"}', values: '1x90' },
    { series: 'eni_agent_metadata_up{instance="vm"}', values: '1x90' },
    { series: 'eni_agent_runs_total{instance="vm",trigger="link",outcome="applied"}', values: '0+1x90' },
    { series: 'eni_agent_last_success_timestamp_seconds{instance="vm"}', values: '0+60x90' },
    { series: 'eni_agent_fights{instance="vm"}', values: '0x90' },
  ];
  const casesOf = (series: object, expected: string | null): object => ({
    interval: '1m',
    input_series: series,
    promql_expr_test: names.map((name) => ({
      expr: `count(ALERTS{alertname="${name}",alertstate="firing"}) or vector(0)`,
      eval_time: '85m',
      exp_samples: [{ labels: '{}', value: name === expected ? 1 : 0 }],
    })),
  });
  const tests = [
    casesOf(good, null),
    ...ALERTS.map(([name, series, values]) => casesOf([{ series, values }], name)),
  ];
  // JSON is YAML.
  const file = path.join(folder, 'tests.yaml');
  await writeFile(file, JSON.stringify({ rule_files: [RULES], evaluation_interval: '1m', tests }));
  const { exitCode, stdout, stderr } = await execa('promtool', ['test', 'rules', file], { reject: false });
  expect({ exitCode, stdout, stderr }).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('SUCCESS'),
  });
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
