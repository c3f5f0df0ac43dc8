/**
 * `npm run bench`: prints what the agent costs, and writes it to bench/results.json and, cost against size, bench/results.svg. With
 * ENI_TEST_SIZE=full more samples and sizes, and with ENI_WRITE_DOCS=1 the table and the picture of docs/performance.md. What was not
 * reached is not measured: then it fails.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { bundleActor } from '../test/lab/actor-client.ts';
import { createLab, type Lab } from '../test/lab/lab.ts';
import { measureAssign } from './assign.ts';
import { measureAttach } from './attach.ts';
import { measureCold } from './cold.ts';
import { measureHooks } from './hooks.ts';
import { measurePeers } from './peers.ts';
import { plot } from './plot.ts';
import { type Row, table } from './sample.ts';
import { linesOf, measureStages, type Sized } from './stages.ts';
import { measureSteady } from './steady.ts';

const RESULTS = new URL('results.json', import.meta.url);
const PICTURE = new URL('results.svg', import.meta.url);
const PAGE = new URL('../docs/performance.md', import.meta.url);
const PAGE_PICTURE = new URL('../docs/performance.svg', import.meta.url);
const PLACE = /(?<=<!-- npm run bench -->\n)[^]*(?=\n<!-- end -->)/;

async function main(): Promise<void> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'eni-bench-'));
  try {
    const actorBundle = await bundleActor(folder);
    const rows: Row[] = [];
    const [floor, attach, ...parts] = await inLab(actorBundle, measureAttach);
    if (floor === undefined || attach === undefined) throw new Error('measuring an attach: no rows');
    rows.push(floor, attach, ...parts);
    rows.push(...(await inLab(actorBundle, (lab) => measurePeers(lab, attach))));
    for (const measure of [measureAssign, measureCold, measureSteady])
      rows.push(...(await inLab(actorBundle, measure)));
    // Asked outside of the namespaces (bench.ts), where it can be told.
    if (process.env['ENI_BENCH_HOOKS'] === 'true') rows.push(...(await inLab(actorBundle, measureHooks)));
    const { sizes, rows: stages } = await measureStages();
    await tell([...rows, ...stages], sizes);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function inLab(
  actorBundle: string,
  measure: (lab: Lab) => Promise<readonly Row[]>,
): Promise<readonly Row[]> {
  const lab = await createLab({ actorBundle });
  try {
    return await measure(lab);
  } finally {
    await lab.close();
  }
}

async function tell(rows: readonly Row[], sizes: readonly Sized[]): Promise<void> {
  const machine = `${os.cpus().length} × ${os.cpus()[0]?.model}, Linux ${os.release()}, Node ${process.version}`;
  const text = `${machine}\n\n${table(rows)}`;
  console.log(text);
  await writeFile(RESULTS, `${JSON.stringify({ machine, rows }, null, 2)}\n`);
  const picture = plot('A run, stage by stage', linesOf(sizes));
  await writeFile(PICTURE, picture);
  if (process.env['ENI_WRITE_DOCS'] === '1') {
    await writeFile(PAGE, (await readFile(PAGE, 'utf8')).replace(PLACE, `\n${text}\n`));
    await writeFile(PAGE_PICTURE, picture);
  }
}

await main();
