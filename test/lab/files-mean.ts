/** The files that the agent wrote in a VM, as the distribution's programs read them, mean what the VM's kernel has. */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { CONNECTIONS, isOurs, NETWORK_SCRIPTS, subjectOf } from '../../src/model/files.ts';
import { type DistributionFile, faultsOf, readOurFiles } from '../distribution/compare.ts';
import { readKernel } from './kernel-words.ts';
import { until } from './until.ts';
import type { Vm } from './vm.ts';

/** A daemon may be in the middle of a run: its kernel is a little ahead of its files. */
const PATIENCE_MS = 3_000;

export async function assertFilesMean(vm: Vm): Promise<void> {
  await until({
    what: `the files of ${vm.namespace}, read as its distribution would, to mean what its kernel has`,
    read: () => faultsOfFiles(vm),
    holds: (faults) => faults.length === 0,
    deadlineMs: PATIENCE_MS,
  });
}

/** What the files of a NIC mean that is not there, or not up, is nowhere to be compared with: they are read, no more. */
async function faultsOfFiles(vm: Vm): Promise<readonly string[]> {
  const folders = [NETWORK_SCRIPTS, CONNECTIONS].map((folder) => readFolder(vm.root, folder));
  const files = (await Promise.all(folders)).flat();
  const ours = files.filter(isOurs);
  if (ours.length === 0) return [];
  const links = ours.flatMap((file) => {
    const { ifname, mac } = subjectOf(file);
    return ifname === undefined || mac === undefined ? [] : [{ name: ifname, mac }];
  });
  const has = await readKernel(vm);
  return readOurFiles(files, links).flatMap(({ program, meaning }) => {
    const link = links.find(({ name }) => name === meaning.ifname);
    const itself = { ...meaning, routes: { needed: [], allowed: meaning.routes } };
    return faultsOf({ program, meaning }, (link && has(link, meaning)) ?? itself);
  });
}

async function readFolder(root: string, folder: string): Promise<readonly DistributionFile[]> {
  const names = await readdir(path.join(root, folder)).catch(() => []);
  const files = names.map(async (name) => {
    const file = path.join(root, folder, name);
    const { mode, uid } = await stat(file);
    return { path: `${folder}/${name}`, content: await readFile(file, 'utf8'), mode, uid };
  });
  // A link that leads nowhere, a folder of that name: nobody's file.
  return (await Promise.allSettled(files)).flatMap((outcome) =>
    outcome.status === 'fulfilled' ? [outcome.value] : [],
  );
}
