/** The stages of a run at several sizes, and beside them a C program that sends the same messages. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { NETWORK_SCRIPTS } from '../src/model/files.ts';
import { addNamespaces, deleteNamespaces, inNamespace, setUp } from '../test/lab/netns.ts';
import { sized } from '../test/lab/settled.ts';
import { macOf } from '../test/unit/builders.ts';
import { addressOf, gatewayOf } from './fleet.ts';
import type { Line } from './plot.ts';
import { REPEATS, type Row, row } from './sample.ts';
import type { StageTimes } from './stages-inside.ts';

const NAMESPACE = 'bench-stages';
const INSIDE = new URL('./stages-inside.ts', import.meta.url).pathname;
const FLOOR = new URL('./floor.c', import.meta.url).pathname;
const TEMPLATES = new URL('../templates/', import.meta.url).pathname;
/** By NICs: with fewer a repetition takes no time worth sparing, with more it takes seconds. */
const LARGE = 64;
const MANY = 21;
const FEW = 3;

/** NICs × IPs of each. */
const SIZES = [
  { nics: 1, addresses: 10 },
  { nics: 8, addresses: 30 },
  { nics: 64, addresses: 50 },
  { nics: 128, addresses: 256 },
] as const;

export interface Sized {
  readonly name: string;
  readonly times: StageTimes;
}

export interface Stages {
  readonly rows: readonly Row[];
  readonly sizes: readonly Sized[];
}

export async function measureStages(): Promise<Stages> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-bench-'));
  try {
    const floor = await compileFloor(folder);
    const sizes: Sized[] = [];
    for (const size of SIZES.slice(0, sized(3, 4))) {
      const name = `${size.nics} × ${size.addresses}`;
      sizes.push({ name, times: await measure(size, repeatsOf(size.nics), { floor, folder }) });
    }
    return { sizes, rows: sizes.flatMap(({ name, times }) => rowsOf(name, times)) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function repeatsOf(nics: number): number {
  if (nics < LARGE) return MANY;
  return nics > LARGE ? FEW : REPEATS;
}

/** '' where there is no compiler. */
async function compileFloor(folder: string): Promise<string> {
  const file = path.join(folder, 'floor');
  const { failed, code, stderr } = await execa('cc', ['-O2', '-o', file, FLOOR], { reject: false });
  if (failed && code === 'ENOENT') return '';
  if (failed) throw new Error(`compiling ${FLOOR}: ${stderr}`);
  return file;
}

interface Tools {
  /** bench/floor.c, compiled. */
  readonly floor: string;
  readonly folder: string;
}

/** In a namespace of its own: the ends of cables, of which the first has its address already. */
async function measure(
  { nics, addresses }: (typeof SIZES)[number],
  repeats: number,
  { floor, folder }: Tools,
): Promise<StageTimes> {
  await addNamespaces([NAMESPACE]);
  try {
    const links = Array.from({ length: 1 + nics }, (_, nic) => [
      `link add eth${nic} address ${macOf(nic + 1)} type veth peer name port${nic}`,
      `link set port${nic} up`,
    ]);
    const primary = [
      'link set lo up',
      'link set eth0 up',
      `address add ${addressOf(0, 0)} dev eth0`,
      `route add default via ${gatewayOf(0)}`,
    ];
    await setUp(NAMESPACE, { ip: [...links.flat(), ...primary] });
    await mkdir(path.join(folder, NETWORK_SCRIPTS), { recursive: true });
    await writeFile(path.join(folder, NETWORK_SCRIPTS, 'ifup-eth'), '');
    const args = [nics, addresses, repeats, folder, TEMPLATES, floor].map(String);
    const node = [process.execPath, '--import', 'tsx', INSIDE, ...args];
    const [file, ...rest] = inNamespace(NAMESPACE, node);
    const { stdout } = await execa(file, rest);
    return JSON.parse(stdout) as StageTimes;
  } finally {
    await deleteNamespaces([NAMESPACE]);
  }
}

function rowsOf(name: string, times: StageTimes): readonly Row[] {
  const what = (stage: string): string => `${name} (${times.objects} objects): ${stage}`;
  const both = sums(times.apply, times.verify);
  const rows = (['observe', 'plan', 'render'] as const).map((stage) => row(what(stage), 'ms', times[stage]));
  if (times.floorApply.length === 0) return [...rows, row(what('apply and verify'), 'ms', both)];
  const floor = row(what('the C floor of both'), 'ms', sums(times.floorApply, times.floorVerify));
  return [
    ...rows,
    row(what('apply'), 'ms', times.apply, row('its C floor', 'ms', times.floorApply)),
    row(what('verify'), 'ms', times.verify, row('its C floor', 'ms', times.floorVerify)),
    floor,
    row(what('apply and verify'), 'ms', both, floor),
  ];
}

/** Medians. */
export function linesOf(sizes: readonly Sized[]): readonly Line[] {
  const line = (name: string, samplesOf: (times: StageTimes) => readonly number[]): Line => ({
    name,
    points: sizes
      .filter(({ times }) => samplesOf(times).length > 0)
      .map(({ times }) => ({ x: times.objects, y: row('', 'ms', samplesOf(times)).median })),
  });
  return [
    line('observe', (times) => times.observe),
    line('plan', (times) => times.plan),
    line('render files', (times) => times.render),
    line('apply', (times) => times.apply),
    line('verify', (times) => times.verify),
    line('C: apply + verify', (times) => sums(times.floorApply, times.floorVerify)),
  ].filter(({ points }) => points.length > 0);
}

function sums(one: readonly number[], other: readonly number[]): readonly number[] {
  return one.map((value, index) => value + (other[index] ?? Number.NaN));
}
