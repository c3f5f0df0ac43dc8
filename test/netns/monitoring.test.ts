/**
 * A fleet of agents, scraped by a real Prometheus at the addresses that they listen at: every alert fires by the fault that it is there
 * for, and ends with it; nobody else's does; every query of the dashboard has something to show.
 */
import { mkdir, readFile } from 'node:fs/promises';
import { execa } from 'execa';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { AGENT_FAULTS, type Agent, type AgentFault, TEXTFILE_FOLDER } from '../lab/agent-faults.ts';
import type { Daemon } from '../lab/daemon.ts';
import type { Lab } from '../lab/lab.ts';
import { openLab } from '../lab/open-lab.ts';
import { hurriedRules, type Prometheus, startNodeExporter, startPrometheus } from '../lab/prometheus.ts';
import { inSync, sized } from '../lab/settled.ts';
import { getFromSocket } from '../lab/socket-http.ts';
import { addressRange } from '../lab/topology.ts';
import { until } from '../lab/until.ts';

/** One of each fault and one without; in the long form seven or eight of each. */
const AGENTS = sized(AGENT_FAULTS.length + 1, 50);
/** An hour of the alerts in eight seconds, or in a minute. */
const SPEED = sized(450, 60);
const HOUR_MS = 3_600_000 / SPEED;
/** Between scrapes, seconds: fifty agents share the cores with who asks them. */
const SCRAPE_S = sized(1, 2);
const LEAST_S = 4;
/** Some hours of the alerts. */
const PATIENCE_MS = 5 * HOUR_MS;
const TIMEOUT_MS = sized(240_000, 1_200_000);
/** Started at a time: each takes the whole of a core for half a second. */
const AT_ONCE = 5;
const PORT = 9101;
const NODE_PORT = 9100;
const ADDRESSES_EACH = 4;

const MONITORING = new URL('../../packaging/monitoring/', import.meta.url);
const RULES = new URL('eni-agent.rules.yaml', MONITORING);
const DASHBOARD = new URL('eni-agent.dashboard.json', MONITORING);

/** undefined: nothing is wrong there. */
function faultOf(index: number): AgentFault | undefined {
  return AGENT_FAULTS[index % (AGENT_FAULTS.length + 1)];
}

/** Its own metrics and those of its file. */
function hasTextfile(index: number): boolean {
  return faultOf(index)?.fires.includes('EniAgentTextfileStale') === true;
}

function configOf(index: number, address: string): string {
  const textfile = hasTextfile(index) ? `, textfile: ${TEXTFILE_FOLDER}/eni-agent.prom` : '';
  return `daemon: { resyncInterval: ${sized(1, 3)}s }\nmetrics: { listen: '${address}:${PORT}'${textfile} }\n`;
}

interface Started {
  readonly daemon: Daemon;
  readonly start: () => Promise<Daemon>;
  readonly addresses: readonly string[];
}

async function startAgent(lab: Lab, index: number): Promise<Started> {
  const vm = lab.vms[index];
  if (vm === undefined) throw new Error(`looking up VM ${index}: the lab has ${lab.vms.length}`);
  const first = `10.0.1.${4 + index * ADDRESSES_EACH}`;
  const addresses = addressRange(first, ADDRESSES_EACH);
  const { mac } = await lab.attachEni({ addresses, vm: index });
  await vm.writeConfig(configOf(index, vm.address));
  if (hasTextfile(index)) {
    await mkdir(vm.path(TEXTFILE_FOLDER));
    await startNodeExporter(vm, { port: NODE_PORT, folder: TEXTFILE_FOLDER });
  }
  const start = (): Promise<Daemon> => vm.startDaemon({ asPackaged: true });
  const daemon = await start();
  await daemon.waitForStatus(inSync(mac));
  return { daemon, start, addresses };
}

async function startAgents(lab: Lab): Promise<readonly Started[]> {
  const started: Started[] = [];
  const indices = lab.vms.map((_, index) => index);
  for (let from = 0; from < indices.length; from += AT_ONCE)
    started.push(
      ...(await Promise.all(indices.slice(from, from + AT_ONCE).map((index) => startAgent(lab, index)))),
    );
  return started;
}

function scrapeAll(lab: Lab, rules: string): Promise<Prometheus> {
  const targets = lab.vms.map(({ address }) => `${address}:${PORT}`);
  const nodes = lab.vms
    .filter((_, index) => hasTextfile(index))
    .map(({ address }) => `${address}:${NODE_PORT}`);
  return startPrometheus(lab, { rules, scrapeS: SCRAPE_S, jobs: { 'eni-agent': targets, node: nodes } });
}

async function valueOf(prometheus: Prometheus, expr: string): Promise<number> {
  return (await prometheus.query(expr))[0]?.value ?? 0;
}

/** Of one alert of one agent, milliseconds. */
interface Life {
  readonly alert: string;
  readonly fired: number;
  readonly resolved: number;
}

/** From its beginning to the end of its last alert. */
async function liveThrough(fault: AgentFault, agent: Agent): Promise<readonly Life[]> {
  const begunAt = performance.now();
  const beginning = fault.begin(agent);
  const fired = await Promise.all(
    fault.fires.map(async (alert) => {
      await Promise.race([agent.fires(alert), failureOf(beginning)]);
      return performance.now() - begunAt;
    }),
  );
  const end = await beginning;
  const endedAt = performance.now();
  await end();
  const all = [...fault.fires, ...fault.mayFire];
  const resolved = await Promise.all(
    all.map(async (alert) => {
      await until({
        what: `${alert} ends after: ${fault.name}`,
        read: () => agent.isFiring(alert),
        holds: (isFiring) => !isFiring,
        deadlineMs: PATIENCE_MS,
      });
      return performance.now() - endedAt;
    }),
  );
  return fault.fires.map((alert, index) => ({
    alert,
    fired: fired[index] ?? 0,
    resolved: resolved[index] ?? 0,
  }));
}

/** Never resolves. */
async function failureOf(work: Promise<unknown>): Promise<never> {
  await work;
  return new Promise(() => {});
}

const PAGE = v.object({
  templating: v.object({
    list: v.array(v.looseObject({ name: v.string(), query: v.unknown(), allValue: v.optional(v.string()) })),
  }),
  panels: v.array(v.object({ title: v.string(), targets: v.array(v.object({ expr: v.string() })) })),
});
const VARIABLE = v.object({ query: v.string() });

/** As Grafana asks them, with all values of its variable: also those of agents that are down for longer than the page looks back. */
async function dashboardQueries(
  prometheus: Prometheus,
): Promise<readonly { readonly title: string; readonly expr: string }[]> {
  const { templating, panels } = v.parse(PAGE, JSON.parse(await readFile(DASHBOARD, 'utf8')));
  const variable = templating.list.find(({ name }) => name === 'instance');
  const [, metric = '', label = ''] =
    /^label_values\((\w+), (\w+)\)$/.exec(v.parse(VARIABLE, variable?.query).query) ?? [];
  expect((await prometheus.labelValues(label, metric)).length).toBeGreaterThanOrEqual(AGENTS);
  const all = v.parse(v.string(), variable?.allValue);
  // Grafana's is four scrapes.
  const interval = `${4 * SCRAPE_S}s`;
  return panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }) => ({
      title,
      expr: expr.replaceAll('$instance', all).replaceAll('$__rate_interval', interval),
    })),
  );
}

/** KiB of all together. */
async function memoryOf(daemons: readonly Daemon[]): Promise<{ readonly rss: number; readonly own: number }> {
  const rollups = await Promise.all(daemons.map(({ pid }) => readFile(`/proc/${pid}/smaps_rollup`, 'utf8')));
  const sum = (pattern: RegExp): number =>
    rollups.flatMap((text) => [...text.matchAll(pattern)]).reduce((total, [, kib]) => total + Number(kib), 0);
  return { rss: sum(/^Rss:\s+(\d+) kB$/gm), own: sum(/^Private_(?:Clean|Dirty):\s+(\d+) kB$/gm) };
}

async function tellFigures(prometheus: Prometheus, daemons: readonly Daemon[]): Promise<void> {
  const seconds = (name: string): Promise<number> =>
    valueOf(prometheus, `${name}(scrape_duration_seconds{job="eni-agent"})`);
  const { rss, own } = await memoryOf(daemons);
  console.info(
    `${daemons.length} agents: a scrape takes ${((await seconds('avg')) * 1_000).toFixed(1)} ms on average, ` +
      `${((await seconds('max')) * 1_000).toFixed(1)} ms at most; ` +
      `${await valueOf(prometheus, 'max(scrape_samples_scraped{job="eni-agent"})')} samples each; ` +
      `RSS ${Math.round(rss / 1_024)} MiB together, ${Math.round(own / 1_024)} MiB of them their own`,
  );
}

function tellLives(lives: readonly Life[]): void {
  const told = [...new Set(lives.map(({ alert }) => alert))].map((alert) => {
    const range = (key: 'fired' | 'resolved'): string => {
      const times = lives.filter((life) => life.alert === alert).map((life) => life[key] / 1_000);
      return `${Math.min(...times).toFixed(1)}–${Math.max(...times).toFixed(1)} s`;
    };
    return `  ${alert}: fired after ${range('fired')}, ended after ${range('resolved')}`;
  });
  console.info([`alerts, ${SPEED} times as fast:`, ...told].join('\n'));
}

test(`${AGENTS} agents and a Prometheus: each alert fires and ends, each query has data`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const lab = await openLab({ vms: AGENTS });
  const rules = await hurriedRules(RULES, { speed: SPEED, leastS: LEAST_S });
  expect(rules).not.toMatch(/\d[mh]\b/);
  const started = await startAgents(lab);
  const prometheus = await scrapeAll(lab, rules);
  await until({
    what: 'all agents are up',
    read: () => valueOf(prometheus, 'sum(up{job="eni-agent"})'),
    holds: (up) => up === AGENTS,
    deadlineMs: 30_000,
  });
  await tellFigures(
    prometheus,
    started.map(({ daemon }) => daemon),
  );
  const page = await getFromSocket(lab.vm.path('/run/eni-agent/control.sock'), '/metrics');
  expect((await execa('promtool', ['check', 'metrics'], { input: page.body, all: true })).all).toBe('');

  // An address of somebody else's is there, and no alert.
  const healthy = lab.vms.findLast((_, index) => faultOf(index) === undefined);
  await healthy?.run('ip', ['address', 'add', '192.0.2.1/32', 'dev', 'eth1']);
  const flows = started.flatMap(({ daemon, start, addresses }, index) => {
    const fault = faultOf(index);
    const vm = lab.vms[index];
    if (fault === undefined || vm === undefined) return [];
    const isFiring = async (alert: string): Promise<boolean> =>
      (await prometheus.firing()).some(
        ({ name, instance }) => name === alert && instance.split(':')[0] === vm.address,
      );
    const fires = async (alert: string): Promise<void> => {
      await until({
        what: `${alert} fires on ${vm.address}: ${fault.name}`,
        read: () => isFiring(alert),
        holds: (isIt) => isIt,
        deadlineMs: PATIENCE_MS,
      });
    };
    return [
      liveThrough(fault, { lab, index, vm, daemon, start, addresses, hourMs: HOUR_MS, fires, isFiring }),
    ];
  });
  // When one fails the others still end what they began.
  await Promise.allSettled(flows);
  const lives = (await Promise.all(flows)).flat();
  tellLives(lives);
  expect([...new Set(lives.map(({ alert }) => alert))].toSorted()).toEqual(await alertNames());

  // Nobody was alarmed by what was not theirs, at any time.
  const fired = await prometheus.highest('count by (instance, alertname) (ALERTS{alertstate="firing"})');
  const strays = fired.filter(({ labels: { instance = '', alertname = '' } }) => {
    const index = lab.vms.findIndex(({ address }) => address === instance.split(':')[0]);
    const { fires = [], mayFire = [] } = faultOf(index) ?? {};
    return ![...fires, ...mayFire].includes(alertname);
  });
  expect(strays).toEqual([]);

  const empty: string[] = [];
  for (const { title, expr } of await dashboardQueries(prometheus)) {
    const series = await prometheus.highest(expr);
    if (!series.some(({ value }) => value > 0)) empty.push(`${title}: ${expr}`);
  }
  expect(empty).toEqual([]);
});

async function alertNames(): Promise<readonly string[]> {
  const { groups } = parse(await readFile(RULES, 'utf8')) as {
    groups: readonly { rules: readonly { alert: string }[] }[];
  };
  return groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)).toSorted();
}
