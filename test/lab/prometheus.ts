/** Debian's Prometheus on a machine of the lab, beside the VMs that it scrapes, and its node_exporter in a VM. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import * as v from 'valibot';
import { onTestFinished } from 'vitest';
import { Child } from './children.ts';
import type { Lab } from './lab.ts';
import { getFromSocket } from './socket-http.ts';
import { until } from './until.ts';
import type { Vm } from './vm.ts';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Alert {
  readonly name: string;
  /** `ADDRESS:PORT` */
  readonly instance: string;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Prometheus {
  /** Now. */
  query(expr: string): Promise<readonly Sample[]>;
  /** The highest number that each series had since Prometheus began, looked at every second; those that never were a number are left out. */
  highest(expr: string): Promise<readonly Sample[]>;
  /** Of the series of a metric. */
  labelValues(label: string, metric: string): Promise<readonly string[]>;
  /** Those that fire, as of half a second ago at most: fifty that wait are served by one request. */
  firing(): Promise<readonly Alert[]>;
}

export interface PrometheusOptions {
  /** By job, `ADDRESS:PORT` each. */
  readonly jobs: Readonly<Record<string, readonly string[]>>;
  /** Text of the file. */
  readonly rules: string;
  /** Between two scrapes of one target, seconds. */
  readonly scrapeS: number;
}

/** Not one of the VMs'. */
const ADDRESS = '10.0.0.240';
const LISTEN = '127.0.0.1:9090';
const EVALUATION = '1s';
const ALERTS_AGE_MS = 500;
/** Prometheus listens in the machine alone; the test, which is outside, comes by a socket of the file system. */
const RELAY = `
const net = require('node:net');
net.createServer((inside) => {
  const outside = net.connect(9090, '127.0.0.1');
  for (const socket of [inside, outside]) socket.on('error', () => { inside.destroy(); outside.destroy(); });
  inside.pipe(outside).pipe(inside);
}).listen(process.argv[1]);
`;

/** Returns when it is ready; it ends with the test. */
export async function startPrometheus(
  lab: Lab,
  { jobs, rules, scrapeS }: PrometheusOptions,
): Promise<Prometheus> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-prometheus-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const config = {
    global: {
      scrape_interval: `${scrapeS}s`,
      scrape_timeout: `${scrapeS}s`,
      evaluation_interval: EVALUATION,
    },
    rule_files: [path.join(folder, 'rules.yaml')],
    scrape_configs: Object.entries(jobs).map(([name, targets]) => ({
      job_name: name,
      static_configs: [{ targets }],
    })),
  };
  await writeFile(path.join(folder, 'rules.yaml'), rules);
  // JSON is YAML.
  await writeFile(path.join(folder, 'prometheus.yml'), JSON.stringify(config));
  const namespace = await lab.addMachine({ name: 'prometheus', addresses: [ADDRESS] });
  const socket = path.join(folder, 'relay.sock');
  const server = startUntilEnd({
    name: 'Prometheus',
    namespace,
    command: [
      'prometheus',
      `--config.file=${path.join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${path.join(folder, 'data')}`,
      `--web.listen-address=${LISTEN}`,
      '--log.level=warn',
    ],
  });
  startUntilEnd({ name: 'the relay', namespace, command: [process.execPath, '-e', RELAY, socket] });
  await until({
    what: 'Prometheus is ready',
    read: async () => ({ answer: await readiness(socket), log: server.stderr }),
    holds: ({ answer }) => answer === 200,
    deadlineMs: 30_000,
  });
  return clientOf(socket);
}

async function readiness(socket: string): Promise<number | undefined> {
  try {
    return (await getFromSocket(socket, '/-/ready')).status;
  } catch {
    return undefined;
  }
}

function startUntilEnd(options: ConstructorParameters<typeof Child>[0]): Child {
  const child = new Child(options);
  onTestFinished(async () => {
    const { death } = child;
    await child.end('SIGTERM');
    if (death !== undefined) throw new Error(death);
  });
  return child;
}

const LABELS = v.record(v.string(), v.string());
/** Seconds, and a number as text. */
const POINT = v.tuple([v.number(), v.string()]);
const VECTOR = v.object({ result: v.array(v.object({ metric: LABELS, value: POINT })) });
const MATRIX = v.object({ result: v.array(v.object({ metric: LABELS, values: v.array(POINT) })) });
const ALERTS = v.object({
  alerts: v.array(v.object({ labels: LABELS, annotations: LABELS, state: v.string() })),
});

function clientOf(socket: string): Prometheus {
  const startedAt = Date.now();
  const ask = async <Schema extends v.GenericSchema>(
    schema: Schema,
    name: string,
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<v.InferOutput<Schema>> => {
    const { status, body } = await getFromSocket(
      socket,
      `/api/v1/${name}?${new URLSearchParams(parameters).toString()}`,
    );
    if (status !== 200)
      throw new Error(`asking Prometheus for ${name} ${JSON.stringify(parameters)}: ${body}`);
    return v.parse(v.object({ data: schema }), JSON.parse(body)).data;
  };
  const readFiring = async (): Promise<readonly Alert[]> =>
    (await ask(ALERTS, 'alerts')).alerts
      .filter(({ state }) => state === 'firing')
      .map(({ labels: { alertname = '', instance = '' }, annotations }) => ({
        name: alertname,
        instance,
        annotations,
      }));
  let known = { at: Number.NEGATIVE_INFINITY, firing: readFiring };
  return {
    query: async (expr) =>
      (await ask(VECTOR, 'query', { query: expr })).result.map(({ metric, value: [, value] }) => ({
        labels: metric,
        value: Number(value),
      })),
    highest: async (expr) => {
      const [start, end] = [startedAt, Date.now()].map((ms) => String(ms / 1_000)) as [string, string];
      const { result } = await ask(MATRIX, 'query_range', { query: expr, start, end, step: '1' });
      return result
        .map(({ metric, values }) => ({
          labels: metric,
          value: Math.max(...values.map(([, value]) => Number(value)).filter(Number.isFinite)),
        }))
        .filter(({ value }) => Number.isFinite(value));
    },
    labelValues: (label, metric) => ask(v.array(v.string()), `label/${label}/values`, { 'match[]': metric }),
    firing: () => {
      if (performance.now() - known.at > ALERTS_AGE_MS) {
        const reading = readFiring();
        known = { at: performance.now(), firing: () => reading };
      }
      return known.firing();
    },
  };
}

const SECONDS = { s: 1, m: 60, h: 3_600 } as const;

/**
 * The same rules, whose time goes `speed` times as fast: each `for:`, range, offset and age in seconds is divided by it, and nothing
 * else is touched. Nothing becomes shorter than `leastS`, which is some scrapes.
 */
export async function hurriedRules(
  file: URL,
  { speed, leastS }: { speed: number; leastS: number },
): Promise<string> {
  const hurried = (seconds: number): string => String(Math.max(leastS, Math.round(seconds / speed)));
  return (await readFile(file, 'utf8'))
    .replaceAll(
      /(?<=\bfor: |\[|\boffset )(\d+)([smh])/g,
      (_, count: string, unit: keyof typeof SECONDS) => `${hurried(Number(count) * SECONDS[unit])}s`,
    )
    .replaceAll(/(?<=expr: time\(\) - .* > )\d+$/gm, (seconds) => hurried(Number(seconds)));
}

/** Its textfile collector alone, at this port of the VM's primary address. */
export async function startNodeExporter(
  vm: Vm,
  { port, folder }: { port: number; folder: string },
): Promise<void> {
  const exporter = vm.start({
    name: 'node_exporter',
    command: [
      'prometheus-node-exporter',
      `--web.listen-address=${vm.address}:${port}`,
      '--collector.disable-defaults',
      '--collector.textfile',
      `--collector.textfile.directory=${vm.path(folder)}`,
    ],
  });
  await until({
    what: 'node_exporter listens',
    read: () => ({ log: exporter.stderr, death: exporter.death }),
    holds: ({ log }) => /listening on/i.test(log),
  });
}
