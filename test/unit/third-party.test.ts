/** What of others is in the package that `npm pack` makes, against the lock file, the bundle and docs/third-party.md. */
import { cp, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import * as v from 'valibot';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle } from '../../packaging/bundle.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const ALLOWED_LICENSES = ['Apache-2.0', 'ISC', 'MIT'];
/** Not copied: made anew, or large and not changed. */
const LEFT_OUT = ['.git', 'dist', 'node_modules'];

const SBOM = v.object({
  bomFormat: v.literal('CycloneDX'),
  metadata: v.object({ component: v.object({ name: v.string(), version: v.string() }) }),
  components: v.array(
    v.object({
      'bom-ref': v.string(),
      name: v.string(),
      hashes: v.array(v.object({ alg: v.literal('SHA-512'), content: v.string() })),
      licenses: v.tuple([v.object({ license: v.object({ id: v.string() }) })]),
    }),
  ),
});

const DEPENDENCIES = v.optional(v.record(v.string(), v.string()), {});
const LOCK = v.object({
  packages: v.record(v.string(), v.object({ version: v.string(), dependencies: DEPENDENCIES })),
});
const MANIFEST = v.object({ name: v.string(), version: v.string(), dependencies: DEPENDENCIES });

let folder = '';
const unpacked = (file: string): Promise<string> => readFile(path.join(folder, 'package', file), 'utf8');
const readSbom = async (): Promise<v.InferOutput<typeof SBOM>> =>
  v.parse(SBOM, JSON.parse(await unpacked('dist/sbom.cdx.json')));

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'eni-agent-pack-'));
  const checkout = path.join(folder, 'checkout');
  await cp(ROOT, checkout, {
    recursive: true,
    filter: (from) => !LEFT_OUT.includes(path.relative(ROOT, from)),
  });
  await symlink(path.join(ROOT, 'node_modules'), path.join(checkout, 'node_modules'));
  // tsx has a folder for each user in the one for temporary files; without root ours is called root's, and belongs to the real one.
  const env = { TMPDIR: folder, npm_config_cache: path.join(folder, 'cache') };
  const { stdout } = await execa('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: checkout,
    env,
  });
  await execa('tar', ['-xzf', path.join(folder, stdout.trim()), '-C', folder]);
}, 60_000);

afterAll(() => rm(folder, { recursive: true }));

/** `name@version` of all that production needs, found by walking from the manifest as Node looks packages up. */
async function productionTree(): Promise<readonly string[]> {
  const { packages } = v.parse(
    LOCK,
    JSON.parse(await readFile(path.join(ROOT, 'package-lock.json'), 'utf8')),
  );
  const seen = new Set<string>();
  const visit = (from: string): void => {
    for (const name of Object.keys(packages[from]?.dependencies ?? {})) {
      const found = candidates(from, name).find((location) => location in packages) ?? name;
      if (seen.has(found)) continue;
      seen.add(found);
      visit(found);
    }
  };
  visit('');
  return [...seen]
    .map((location) => `${location.split('node_modules/').at(-1)}@${packages[location]?.version}`)
    .toSorted();
}

/** Of a package that another needs, the innermost folder first. */
function candidates(from: string, name: string): readonly string[] {
  const own = `${from === '' ? '' : `${from}/`}node_modules/${name}`;
  return from === ''
    ? [own]
    : [own, ...candidates(from.replace(/\/?node_modules\/(@[^/]+\/)?[^/]+$/, ''), name)];
}

test('the SBOM lists what production needs, all of it and nothing else, each with its digest', async () => {
  const { metadata, components } = await readSbom();
  const { name, version } = v.parse(
    MANIFEST,
    JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8')),
  );
  expect(metadata.component).toEqual({ name, version });
  expect(components.map((one) => one['bom-ref']).toSorted()).toEqual(await productionTree());
});

test('the code cache of the Node that packs it is not in it', async () => {
  const chunks = await readdir(path.join(folder, 'package/dist/chunks'));
  expect(chunks.length).toBeGreaterThan(10);
  expect(chunks.filter((name) => !name.endsWith('.js'))).toEqual([]);
});

test('every package whose code is in the bundle is in the SBOM', async () => {
  const names = (await readSbom()).components.map(({ name }) => name);
  const { inputs } = await bundle();
  const found = Object.keys(inputs).flatMap(
    (file) => /\bnode_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(file)?.[1] ?? [],
  );
  const bundled = new Set(found);
  expect(bundled.size).toBeGreaterThan(30);
  expect([...bundled].filter((name) => !names.includes(name))).toEqual([]);
});

test('every licence is an allowed one, its text is in the package, and docs/third-party.md names it', async () => {
  const { components } = await readSbom();
  const texts = await unpacked('dist/third-party-licenses.txt');
  const page = await readFile(path.join(ROOT, 'docs/third-party.md'), 'utf8');
  const licenses = components.map((one) => ({
    ref: one['bom-ref'],
    name: one.name,
    id: one.licenses[0].license.id,
  }));
  expect(ALLOWED_LICENSES).toEqual([...new Set(licenses.map(({ id }) => id))].toSorted());
  const untold = licenses.filter(
    ({ ref, id }) => !texts.includes(`\n${ref.replace(/@(?=[^@]+$)/, ' ')} (${id})\n\n`),
  );
  expect(untold).toEqual([]);
  const listed = ALLOWED_LICENSES.map((id) => [id, namesOf(page, id)]);
  const expected = ALLOWED_LICENSES.map((id) => [
    id,
    licenses.filter((one) => one.id === id).map(({ name }) => name),
  ]);
  expect(listed).toEqual(expected.map(([id, names]) => [id, [...new Set(names)].toSorted()]));
});

/** In the table of the page. */
function namesOf(page: string, license: string): readonly string[] {
  const row = page.split('\n').find((line) => line.startsWith(`| ${license} |`)) ?? '';
  return [...row.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
}
