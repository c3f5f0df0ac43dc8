/** Lays out what goes into the packages, for packaging/eni-agent.spec to put in its places. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import pkg from '../package.json' with { type: 'json' };
import { readCommands } from './commands.ts';
import { COMPLETIONS } from './completions.ts';
import { MAN_PAGES } from './man-pages.ts';
import type { NodeRuntime } from './node-runtime.ts';

export const ROOT = path.join(import.meta.dirname, '..');

/** What the program needs of `netlink` beside the addon: no more than src/kernel/listener.ts loads. */
const NETLINK = ['package.json', 'dist/raw.js'];
const NODE_GYP_BUILD = ['package.json', 'index.js', 'node-gyp-build.js'];
const ADDONS = ['linux-x64', 'linux-arm64'];
/** Beside those of docs/, in one folder with them. */
const DOCS = ['README.md', 'README.zh-CN.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md'];

export function stage(folder: string, runtimes: readonly NodeRuntime[]): void {
  for (const script of ['build', 'third-party'])
    execFileSync('npm', ['run', '--silent', script], { cwd: ROOT });
  stageProgram(folder);
  stageTexts(folder);
  stageSboms(folder, runtimes);
  copy('packaging/eni-agent.sh', path.join(folder, 'eni-agent.sh'));
  copy('packaging/config.yaml', path.join(folder, 'config.yaml'));
  copy('systemd', path.join(folder, 'systemd'));
  copy('packaging/selinux', path.join(folder, 'selinux'));
  copy('packaging/monitoring', path.join(folder, 'monitoring'));
  copy('packaging/ansible', path.join(folder, 'fleet/ansible'));
  copy('packaging/cloud-init', path.join(folder, 'fleet/cloud-init'));
}

function stageProgram(folder: string): void {
  const home = path.join(folder, 'home');
  // Not a program of its own any more: the shell script starts it.
  const program = readFileSync(path.join(ROOT, 'dist/cli.js'), 'utf8').replace(/^#!.*\n/, '');
  write(path.join(home, 'dist/cli.js'), program);
  copy('dist/make-cache.js', path.join(home, 'dist/make-cache.js'));
  // Without the code cache, which is that of the Node here: the package makes that of its own where it is installed.
  for (const name of readdirSync(path.join(ROOT, 'dist/chunks')).filter((each) => each.endsWith('.js')))
    copy(`dist/chunks/${name}`, path.join(home, 'dist/chunks', name));
  copy('dist/package.json', path.join(home, 'dist/package.json'));
  write(
    path.join(home, 'package.json'),
    `${JSON.stringify({ name: pkg.name, version: pkg.version, type: pkg.type })}\n`,
  );
  copy('templates', path.join(home, 'templates'));
  const modules = path.join(home, 'node_modules');
  for (const file of NETLINK) copy(`node_modules/netlink/${file}`, path.join(modules, 'netlink', file));
  for (const file of NODE_GYP_BUILD)
    copy(`node_modules/node-gyp-build/${file}`, path.join(modules, 'node-gyp-build', file));
  for (const addon of ADDONS) {
    copy(`node_modules/netlink/prebuilds/${addon}`, path.join(folder, `netlink-${addon}/prebuilds/${addon}`));
  }
}

function stageTexts(folder: string): void {
  stageDocs(path.join(folder, 'docs'));
  copy('LICENSE', path.join(folder, 'licenses/LICENSE'));
  copy('dist/third-party-licenses.txt', path.join(folder, 'licenses/third-party-licenses.txt'));
  for (const [file, page] of Object.entries(MAN_PAGES)) write(path.join(folder, file), page());
  const commands = readCommands();
  for (const [shell, complete] of Object.entries(COMPLETIONS)) {
    write(path.join(folder, 'completions', shell), complete(commands));
  }
}

/** Links between docs/ and the pages above it lead to the same pages there. */
export function stageDocs(folder: string): void {
  copy('docs', folder);
  for (const file of DOCS) write(path.join(folder, file), read(file).replaceAll('](docs/', ']('));
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.md'))) {
    const page = path.join(folder, file);
    writeFileSync(page, readFileSync(page, 'utf8').replaceAll('](../', ']('));
  }
}

/** With the standalone package goes a Node, which is a component like any other. */
function stageSboms(folder: string, runtimes: readonly NodeRuntime[]): void {
  const text = read('dist/sbom.cdx.json');
  write(path.join(folder, 'sbom.cdx.json'), text);
  const [runtime] = runtimes;
  if (runtime === undefined) return;
  const sbom = JSON.parse(text) as { components: unknown[] };
  const { version } = runtime;
  const node = {
    'bom-ref': `node@${version}`,
    type: 'application',
    name: 'node',
    version,
    purl: `pkg:generic/node@${version}`,
  };
  sbom.components.push(node);
  write(path.join(folder, 'sbom-standalone.cdx.json'), `${JSON.stringify(sbom, null, 2)}\n`);
}

function read(file: string): string {
  return readFileSync(path.join(ROOT, file), 'utf8');
}

function copy(from: string, to: string): void {
  // The Ansible role has a link to the schema in docs/.
  cpSync(path.join(ROOT, from), to, { recursive: true, dereference: true, filter: isSource });
}

/** Not what Python makes of the role's filter when it is run. */
function isSource(file: string): boolean {
  return path.basename(file) !== '__pycache__';
}

function write(file: string, text: string): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
}
