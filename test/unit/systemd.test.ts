/** What the files of systemd/ must say; systemd's own opinion of them is in test/netns/systemd.test.ts. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createPaths } from '../../src/system/paths.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const DAEMON = 'eni-agent.service';
const BOOT = 'eni-agent-boot.service';
const PATHS = createPaths('/');

function read(name: string): string {
  return readFileSync(path.join(ROOT, 'systemd', name), 'utf8');
}

/** Without comments and empty lines. */
function directives(name: string): readonly string[] {
  return read(name)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** All that a key is given; a list may be spread over several lines. */
function words(unit: string, key: string): readonly string[] {
  return directives(unit)
    .filter((line) => line.startsWith(`${key}=`))
    .flatMap((line) => line.slice(key.length + 1).split(' '));
}

function sandbox(unit: string): readonly string[] {
  const lines = directives(unit);
  return lines.slice(lines.indexOf('CapabilityBoundingSet=CAP_NET_ADMIN'), lines.indexOf('[Install]'));
}

describe.each([DAEMON, BOOT])('%s', (unit) => {
  test.each([
    'KillMode=mixed',
    'UnsetEnvironment=NODE_EXTRA_CA_CERTS',
    'CapabilityBoundingSet=CAP_NET_ADMIN',
    'NoNewPrivileges=yes',
    'ProtectSystem=strict',
    'ProtectKernelTunables=yes',
    'RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_INET AF_INET6',
    'SystemCallFilter=@system-service @pkey',
    'SystemCallFilter=~@privileged @resources @aio @keyring @memlock @setuid',
    'SystemCallErrorNumber=EPERM',
    'ProtectProc=invisible',
    'PrivateMounts=yes',
    'RuntimeDirectory=eni-agent',
    'RuntimeDirectoryPreserve=yes',
    'StateDirectory=eni-agent',
    'WantedBy=multi-user.target',
  ])('has %s', (line) => {
    expect(directives(unit)).toContain(line);
  });

  test('may write where the agent writes, and nowhere else; the distribution may lack its folders', () => {
    const keyfiles = '/etc/NetworkManager/system-connections';
    const optional = [PATHS.networkScripts, keyfiles, '/run/NetworkManager'].map((folder) => `-${folder}`);
    expect(words(unit, 'ReadWritePaths')).toEqual([...optional, PATHS.stateDirectory, PATHS.runDirectory]);
  });

  test('may execute nothing that it can write', () => {
    expect(words(unit, 'NoExecPaths')).toEqual([...words(unit, 'ReadWritePaths'), '/tmp', '/var/tmp']);
  });

  test.each(['MemoryDenyWriteExecute', 'ProcSubset', 'PrivateUsers', 'PrivateNetwork', 'User'])(
    'has no %s, which the agent would not survive',
    (key) => {
      expect(words(unit, key)).toEqual([]);
    },
  );
});

test('both units have the same sandbox', () => {
  expect(sandbox(DAEMON).length).toBeGreaterThan(15);
  expect(sandbox(BOOT)).toEqual(sandbox(DAEMON));
});

test.each([
  'Type=notify',
  'NotifyAccess=all',
  'ExecReload=/bin/kill -HUP $MAINPID',
  'Restart=on-failure',
  'RestartPreventExitStatus=2',
  'WatchdogSec=3min',
])('the daemon has %s', (line) => {
  expect(directives(DAEMON)).toContain(line);
});

describe('at boot', () => {
  test('the one shot runs after whoever brings the network up and before it counts as online', () => {
    expect(words(BOOT, 'Before')).toEqual(['network-online.target']);
    expect(words(BOOT, 'After')).toEqual([
      'network.service',
      'NetworkManager.service',
      'NetworkManager-wait-online.service',
      'systemd-networkd.service',
      'systemd-networkd-wait-online.service',
      'cloud-init-local.service',
    ]);
    expect(words(DAEMON, 'After')).toContain(BOOT);
  });

  test('nothing needs the one shot to succeed', () => {
    expect([...words(DAEMON, 'Requires'), ...words(DAEMON, 'BindsTo')]).toEqual([]);
  });

  test('systemd is more patient than the command', () => {
    const [, command] = /--timeout (\d+)s/.exec(words(BOOT, 'ExecStart').join(' ')) ?? [];
    const [, unit] = /^(\d+)s$/.exec(words(BOOT, 'TimeoutStartSec').join(' ')) ?? [];
    // The lock may take 10 s beyond the command's own time.
    expect(Number(unit)).toBeGreaterThan(Number(command) + 10);
  });
});

describe('the udev rule', () => {
  const rules = directives('80-eni-agent.rules');

  test('is made of keys, operators and values that udev(7) knows', () => {
    const token = /^(SUBSYSTEM|ACTION|DEVPATH|TEST|RUN)(==|!=|\+=)"[^"\\]+"$/;
    for (const rule of rules) for (const part of rule.split(', ')) expect(part).toMatch(token);
  });

  test('touches the file that the daemon watches, for NICs, where the agent has its folder, and starts nothing else', () => {
    const [match, run] = rules.join('\n').split(', RUN+=');
    expect(match).toBe(
      `SUBSYSTEM=="net", ACTION=="add|remove|move", DEVPATH!="/devices/virtual/*", TEST=="${PATHS.runDirectory}"`,
    );
    expect(run).toBe(`"/usr/bin/touch ${PATHS.wake}"`);
  });
});

test('the preset enables every unit there is', () => {
  const units = readdirSync(path.join(ROOT, 'systemd')).filter((name) => name.endsWith('.service'));
  expect(directives('90-eni-agent.preset').toSorted()).toEqual(
    units.map((unit) => `enable ${unit}`).toSorted(),
  );
});

test('every setting and file of systemd/ is explained in docs/systemd.md', () => {
  const docs = readFileSync(path.join(ROOT, 'docs/systemd.md'), 'utf8');
  const keys = [DAEMON, BOOT].flatMap(directives).flatMap((line) => /^(\w+)=/.exec(line)?.[1] ?? []);
  const plain = ['Description', 'Documentation', 'ExecStart', 'WantedBy', 'Type'];
  const explained = [...new Set(keys)].filter((key) => !plain.includes(key));
  const unexplained = [...explained, ...readdirSync(path.join(ROOT, 'systemd'))].filter(
    (name) => !docs.includes(`\`${name}`),
  );
  expect(unexplained).toEqual([]);
});
