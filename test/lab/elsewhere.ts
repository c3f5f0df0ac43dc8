/**
 * Commands of the documentation that test/netns/docs.test.ts does not type into a VM of the lab as they stand: why, and where they,
 * or what they do, are run. A new command that neither works there nor is listed here is a red test.
 */
import type { DocCommand } from './doc-commands.ts';

export interface Elsewhere {
  readonly why: string;
  /** By its name, from the top of the project. */
  readonly file: string;
  /** A part of it. */
  readonly place: RegExp;
}

const BUILDS = 'it builds or tests the checkout itself';
const NEEDS_SYSTEMD = 'the lab has no systemd but where a test boots one';
const NEEDS_RPM = 'it installs a package';

/** By command without its comment, by section (`docs/systemd.md#the-journal`), or by page and kind of block. */
export const ELSEWHERE: Readonly<Record<string, Elsewhere>> = {
  'npm ci && npm run demo': { why: BUILDS, file: '.ci/run', place: /^npm ci$[^]*^npm run demo \|\|/m },
  'npm ci && npm run build': { why: BUILDS, file: 'test/run.ts', place: /\['run', '--silent', 'build'\]/ },
  'npm ci && npm test': { why: BUILDS, file: '.ci/run', place: /^npm ci$[^]*^npm test /m },
  'npm ci': { why: BUILDS, file: '.ci/run', place: /^npm ci$/m },
  'npm run check': { why: BUILDS, file: '.ci/run', place: /^npm run check$/m },
  'npm test': { why: BUILDS, file: '.ci/run', place: /^npm test /m },
  'npm test -- test/netns/lab.test.ts': {
    why: BUILDS,
    file: 'test/run.ts',
    place: /process\.argv\.slice\(2\)/,
  },
  'npm test -- test/unit test/golden': {
    why: BUILDS,
    file: 'test/run.ts',
    place: /process\.argv\.slice\(2\)/,
  },
  'ENI_TEST_SIZE=full npm test': {
    why: BUILDS,
    file: 'test/lab/settled.ts',
    place: /env\['ENI_TEST_SIZE'\] === 'full'/,
  },
  'npm audit --omit=dev': { why: BUILDS, file: '.ci/run', place: /^npm audit --omit=dev /m },
  'npm run package': { why: BUILDS, file: '.ci/run', place: /^npm run package /m },
  'npm run test:package': { why: BUILDS, file: '.ci/run', place: /&& npm run test:package /m },
  'npm run package && npm run test:package': {
    why: BUILDS,
    file: '.ci/run',
    place: /^npm run package && npm run test:package /m,
  },
  'npm pack': { why: BUILDS, file: 'test/unit/third-party.test.ts', place: /execa\('npm', \['pack'/ },
  'npm run bench': { why: BUILDS, file: '.ci/run', place: /^npm run bench \|\|/m },
  'bash .ci/run': { why: BUILDS, file: '.ci/run', place: /^# .*bash \.ci\/run$/m },
  'checkmodule -M -m -o eni_agent.mod /usr/share/eni-agent/selinux/eni_agent.te': {
    why: 'it needs a package of SELinux',
    file: 'test/package/selinux.test.ts',
    place: /checkmodule/,
  },
  'semodule_package -o eni_agent.pp -m eni_agent.mod -f /usr/share/eni-agent/selinux/eni_agent.fc': {
    why: 'it needs a package of SELinux',
    file: 'test/package/selinux.test.ts',
    place: /semodule_package/,
  },
  'dnf install ./eni-agent-standalone-0.1.0-1.x86_64.rpm': {
    why: NEEDS_RPM,
    file: 'test/package/standalone.test.ts',
    place: /root\.rpm\('-i'/,
  },
  'dnf upgrade eni-agent': {
    why: NEEDS_RPM,
    file: 'test/package/transactions.test.ts',
    place: /root\.rpm\('-U'/,
  },
  'dnf downgrade eni-agent': {
    why: NEEDS_RPM,
    file: 'test/package/transactions.test.ts',
    place: /'--oldpackage'/,
  },
  'yum install ./eni-agent-standalone-*.rpm': {
    why: NEEDS_RPM,
    file: 'test/package/standalone.test.ts',
    place: /root\.rpm\('-i'/,
  },
  'systemctl start eni-agent': {
    why: NEEDS_SYSTEMD,
    file: 'test/package/life.test.ts',
    place: /'systemctl', 'start', BOOT, DAEMON/,
  },
  'systemctl start eni-agent.service': {
    why: NEEDS_SYSTEMD,
    file: 'test/package/life.test.ts',
    place: /'systemctl', 'start', BOOT, DAEMON/,
  },
  'systemctl stop eni-agent': {
    why: NEEDS_SYSTEMD,
    file: 'test/netns/systemd-as-init.test.ts',
    place: /'systemctl', 'stop', DAEMON/,
  },
  'systemctl stop eni-agent.service': {
    why: NEEDS_SYSTEMD,
    file: 'test/netns/systemd-as-init.test.ts',
    place: /'systemctl', 'stop', DAEMON/,
  },
  'systemctl restart eni-agent.service': {
    why: NEEDS_SYSTEMD,
    file: 'test/netns/systemd-as-init.test.ts',
    place: /'systemctl', 'restart', DAEMON/,
  },
  'curl --unix-socket /run/eni-agent/control.sock http://localhost/metrics': {
    why: 'it needs a daemon',
    file: 'test/netns/metrics.test.ts',
    place: /getFromSocket\(vm\.path\('\/run\/eni-agent\/control\.sock'\), '\/metrics'/,
  },
  'npx ajv-cli@5 validate -s config.schema.json -d config.yaml': {
    why: 'it is downloaded; the validator that it calls is the one of the test',
    file: 'test/unit/config/json-schema.test.ts',
    place: /from 'ajv'/,
  },
  'docs/troubleshooting.md console': {
    why: 'each section needs a VM that has the symptom',
    file: 'test/netns/troubleshooting.test.ts',
    place: /tryBlock/,
  },
  'docs/troubleshooting.md#after-a-reboot-the-addresses-are-missing': {
    why: NEEDS_SYSTEMD,
    file: 'test/netns/journal.test.ts',
    place: /after-a-reboot/,
  },
  'docs/fleet.md#ansible': {
    why: 'it needs VMs with systemd and a package',
    file: 'test/package/ansible.test.ts',
    place: /documented\(\)\.filter/,
  },
  'docs/fleet.md#the-configuration-in-an-editor-and-in-ci': {
    why: 'it needs VMs with systemd and a package',
    file: 'test/package/ansible.test.ts',
    place: /documented\(\)\.filter/,
  },
  'cloud-init schema --config-file user-data.yaml': {
    why: 'cloud-init is installed nowhere',
    file: 'test/package/cloud-init.test.ts',
    place: /\['schema', '--config-file', file\]/,
  },
  'eni-agent status --watch': {
    why: 'it goes on until somebody ends it',
    file: 'test/netns/watch.test.ts',
    place: /'status', '--watch'\]/,
  },
  'docs/systemd.md#install-by-hand': {
    why: 'it installs into the machine; a test does it below a folder of its own',
    file: 'test/netns/docs.test.ts',
    place: /the commands of docs\/systemd\.md install/,
  },
  'docs/hooks.md#an-example': {
    why: 'the files of a page are there where they are run',
    file: 'test/netns/hooks.test.ts',
    place: /commandsIn\('an-example'\)/,
  },
  'docs/hooks.md#what-it-may-do': {
    why: NEEDS_SYSTEMD,
    file: 'test/netns/hooks.test.ts',
    place: /commandsIn\('what-it-may-do'\)/,
  },
  'docs/systemd.md#the-journal': {
    why: NEEDS_SYSTEMD,
    file: 'test/netns/journal.test.ts',
    place: /the-journal/,
  },
};

/** Run by nobody, and why. */
export const NOT_RUN: Readonly<Record<string, string>> = {
  'vi /root/new.yaml': 'an editor; docs.test.ts edits the file instead',
  poweroff: 'the VM of the lab has no power',
  "scl enable devtoolset-11 'cd node_modules/netlink && npx node-gyp rebuild'":
    'for want of a CentOS 7; the page says so',
  'npm run package -- --node …/bin/node --addon node_modules/netlink/build/Release/netlink_binding.node':
    'for want of a CentOS 7; the page says so',
  'semodule -i eni_agent.pp': 'for want of a kernel with SELinux; the page says so',
  'restorecon -Rv /usr/bin/eni-agent /run/eni-agent /var/lib/eni-agent':
    'for want of a kernel with SELinux; the page says so',
};

/** Where a command is run: it has its own entry, or all of its section has, or all of its page of that kind. undefined: in the lab, by docs.test.ts. */
export function elsewhere({ command, page, anchor, language }: DocCommand): Elsewhere | undefined {
  return ELSEWHERE[command] ?? ELSEWHERE[`${page} ${language}`] ?? ELSEWHERE[`${page}#${anchor}`];
}

/** Programs that do no harm there. */
const TYPED = /^(?:eni-agent|node dist\/cli\.js|cp) /;

export function isTypedInTheLab(command: DocCommand): boolean {
  return TYPED.test(command.command) && elsewhere(command) === undefined && !(command.command in NOT_RUN);
}
