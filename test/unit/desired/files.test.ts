import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { withRebuiltNics } from '../../../src/desired/rebuilt.ts';
import { BACKENDS, type Backend } from '../../../src/model/config.ts';
import { CONNECTIONS, NETWORK_SCRIPTS } from '../../../src/model/files.ts';
import { describeStep } from '../../../src/plan/describe.ts';
import { loadTemplates } from '../../../src/system/templates.ts';
import {
  type ConfigText,
  configOf,
  DISTRIBUTIONS,
  eni,
  hostOf,
  instance,
  link,
  macOf,
  owned,
  TABLE_BASE,
} from '../builders.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

const SHIPPED = await loadTemplates(fileURLToPath(new URL('../../../templates/', import.meta.url)));
const BY_CLOUD_INIT = '# Created by cloud-init on instance boot automatically, do not edit.\nDEVICE=eth1\n';
const BY_HAND = 'DEVICE=eth1\nBOOTPROTO=dhcp\n';
const MARKER = '# Managed by eni-agent.';
const OURS = `${MARKER}\n`;
const NO_BACKEND: ConfigText = { persistence: { backend: 'none' } };
const REPLACE: ConfigText = { persistence: { existingFiles: 'replace' } };
const ALONE = instance([eni(1, '10.0.0.4/24', '10.0.0.1')]);

/** Files by their names in the folder. */
function worldOf(files: Readonly<Record<string, string>>, config: ConfigText = {}): World {
  const paths = Object.entries(files).map(([name, content]) => [`${NETWORK_SCRIPTS}/${name}`, content]);
  return {
    metadata: instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, '10.0.1.4/24', '10.0.1.1')]),
    host: hostOf({
      links: [link(1, 'eth0', { addresses: '10.0.0.4/24' }), link(2, 'eth1')],
      files: Object.fromEntries(paths),
    }),
    config: configOf(config),
    templates: SHIPPED,
  };
}

const BACKEND_FILES: Readonly<Record<Backend, readonly string[]>> = {
  'network-scripts': ['ifcfg-eth1', 'route-eth1', 'rule-eth1'],
  'networkmanager-ifcfg': ['ifcfg-eth1', 'route-eth1'],
  'networkmanager-keyfile': ['eni-agent-eth1.nmconnection'],
  none: [],
};

function on(backend: Backend, world: World): World {
  return { ...world, host: { ...world.host, distribution: DISTRIBUTIONS[backend] } };
}

/** Names of the files that there are, and whether they are ours, kept, or somebody's. */
function filesIn({ host }: World): readonly string[] {
  return host.files
    .map(({ path, content }) => {
      const whose = path.endsWith('.orig') ? 'kept' : content.startsWith(MARKER) ? 'ours' : 'theirs';
      return `${path.slice(NETWORK_SCRIPTS.length + 1)} ${whose}`;
    })
    .toSorted();
}

function namesIn({ host }: World): readonly string[] {
  return host.files.map(({ path }) => path.slice(path.lastIndexOf('/') + 1)).toSorted();
}

function stepsOf(world: World): readonly string[] {
  return lookAt(world).plan.steps.map(describeStep);
}

const THREE = ['ifcfg-eth1 ours', 'route-eth1 ours', 'rule-eth1 ours'];

describe('the files of a NIC', () => {
  test('keep an address as long as the NIC does: until enough answers agree that it is not listed', () => {
    const nicOf = (addresses: string) =>
      instance([eni(1, '10.0.0.4/24', '10.0.0.1'), eni(2, addresses, '10.0.1.1')]);
    const first = runOnce({ ...worldOf({}), metadata: nicOf('10.0.1.4/24 10.0.1.5/24') });
    const { steps } = lookAt({ ...first, metadata: nicOf('10.0.1.4/24') }).plan;
    expect(steps.map(({ kind, withdrawal }) => [kind, withdrawal])).toEqual([
      ['remove-address', true],
      ['remove-rule', true],
      ['write-file', true],
      ['write-file', true],
    ]);
  });

  test.each<readonly [string, Readonly<Record<string, string>>, ConfigText, readonly string[]]>([
    ['are written where there are none', {}, {}, THREE],
    ['are corrected where ours differ', { 'ifcfg-eth1': `${OURS}DEVICE=eth7\n` }, {}, THREE],
    ['are removed where ours are not needed', { 'rule6-eth1': OURS }, {}, THREE],
    [
      'are taken over from cloud-init, and what was there is kept',
      { 'ifcfg-eth1': BY_CLOUD_INIT },
      {},
      [...THREE, 'ifcfg-eth1.orig kept'],
    ],
    [
      'are taken over from cloud-init under another name',
      { 'ifcfg-ens6': BY_CLOUD_INIT },
      {},
      [...THREE, 'ifcfg-ens6.orig kept'],
    ],
    [
      'are taken over from anybody when asked to',
      { 'ifcfg-eth1': BY_HAND },
      REPLACE,
      [...THREE, 'ifcfg-eth1.orig kept'],
    ],
    [
      'are put aside when we have none of that kind',
      { 'route6-eth1': 'default via fe80::1\n' },
      REPLACE,
      [...THREE, 'route6-eth1.orig kept'],
    ],
    ['of others are theirs', { 'ifcfg-eth1': BY_HAND }, {}, ['ifcfg-eth1 theirs']],
    [
      'are never written for the primary, whoever wrote them',
      { 'ifcfg-eth0': BY_CLOUD_INIT.replace('eth1', 'eth0') },
      REPLACE,
      [...THREE, 'ifcfg-eth0 theirs'],
    ],
  ])(
    '%s; a second run changes nothing; and all is as before when the NIC is gone',
    (_, files, config, expected) => {
      const first = runOnce(worldOf(files, config));
      expect(filesIn(first)).toEqual(expected.toSorted());
      expect(stepsOf(first)).toEqual([]);
      const second = runOnce(first);
      expect(second.host.state.nics).toEqual(first.host.state.nics);
      const gone = runOnce({ ...runOnce(second), metadata: ALONE });
      const theirs = Object.entries(files).filter(([, content]) => !content.startsWith(MARKER));
      expect(filesIn(gone)).toEqual(theirs.map(([name]) => `${name} theirs`));
      expect(stepsOf(gone)).toEqual([]);
    },
  );

  test.each(BACKENDS.flatMap((from) => BACKENDS.map((to) => [from, to] as const)))(
    'move from %s to %s, and nothing is left of the one, nor done to the kernel; where nothing reads them, they stay',
    (from, to) => {
      const first = runOnce(on(from, worldOf({})));
      expect(namesIn(first)).toEqual(BACKEND_FILES[from]);
      const moved = on(to, first);
      const kinds = new Set(lookAt(moved).plan.steps.map(({ kind }) => kind));
      expect([...kinds].filter((kind) => !kind.endsWith('-file'))).toEqual([]);
      const second = runOnce(moved);
      expect(namesIn(second)).toEqual(BACKEND_FILES[to === 'none' ? from : to]);
      expect(stepsOf(second)).toEqual([]);
      const gone = runOnce({ ...runOnce(second), metadata: ALONE });
      expect(namesIn(gone)).toEqual([]);
    },
  );

  test.each(['networkmanager-ifcfg', 'networkmanager-keyfile'] as const)(
    'with %s tell of a NIC that the state has lost: its table, and what is left when it is gone',
    (backend) => {
      const first = runOnce(on(backend, worldOf({})));
      const forgotten = { ...first.host, state: { ...first.host.state, nics: {} } };
      const lost = { ...first, host: withRebuiltNics(forgotten, TABLE_BASE) };
      const { interfaces } = lookAt(lost).desired;
      expect(interfaces.map(({ table }) => table)).toEqual([21_000, 21_001]);
      expect(namesIn(runOnce({ ...lost, metadata: ALONE }))).toEqual([]);
    },
  );

  test.each<readonly [string, string, boolean]>([
    ['by its name', '[connection]\ninterface-name = eth1\n', true],
    ['by its MAC', '[ethernet]\nmac-address=02:00:00:00:00:02\n', true],
    ['of another NIC', '[connection]\ninterface-name=eth7\n', false],
    ['of any NIC', '[connection]\ntype=ethernet\n', false],
  ])(
    'leave a NIC to a profile of somebody %s, or keep it where no profile is read',
    (_, content, isAbout) => {
      const theirs = { [`${CONNECTIONS}/Wired 1.nmconnection`]: content };
      const world = on('networkmanager-keyfile', worldOf({}));
      const files = Object.entries(theirs).map(([path, text]) => ({ path, content: text }));
      const found = { ...world, host: { ...world.host, files } };
      const reasons = lookAt(found).desired.deferrals.map(({ reason }) => reason);
      expect(reasons).toEqual(isAbout ? ['foreign-config'] : []);
      const taken = runOnce({ ...found, config: configOf(REPLACE) });
      const kept = isAbout ? '.Wired 1.nmconnection.orig' : 'Wired 1.nmconnection';
      expect(namesIn(taken)).toEqual([kept, 'eni-agent-eth1.nmconnection']);
      const gone = runOnce({ ...runOnce(taken), metadata: ALONE });
      expect(namesIn(gone)).toEqual(['Wired 1.nmconnection']);
    },
  );

  test('follow the name of the link', () => {
    const first = runOnce(worldOf({}));
    const links = first.host.links.map((entry) =>
      entry.ifname === 'eth1' ? { ...entry, ifname: 'ens6' as never } : entry,
    );
    const second = runOnce({ ...first, host: { ...first.host, links } });
    expect(filesIn(second)).toEqual(['ifcfg-ens6 ours', 'route-ens6 ours', 'rule-ens6 ours']);
    expect(stepsOf(second)).toEqual([]);
  });

  test('are found by their MAC when the state is lost', () => {
    const first = runOnce(worldOf({}));
    const host = {
      ...first.host,
      state: { ...first.host.state, nics: {} },
      links: first.host.links.slice(0, 1),
    };
    const nics = { [macOf(2)]: owned(1, 'eth1') };
    const gone = runOnce({ ...first, metadata: ALONE, host: { ...host, state: { ...host.state, nics } } });
    expect(filesIn(gone)).toEqual([]);
  });

  test('of ours that somebody has made his own are his', () => {
    const first = runOnce(worldOf({}));
    const files = first.host.files.map((file) => ({ ...file, content: BY_HAND }));
    const gone = runOnce({ ...first, metadata: ALONE, host: { ...first.host, files } });
    expect(filesIn(gone)).toEqual(['ifcfg-eth1 theirs', 'route-eth1 theirs', 'rule-eth1 theirs']);
  });

  test.each<readonly [string, ConfigText, Backend]>([
    ['nothing would read them', {}, 'none'],
    ['the backend is none', NO_BACKEND, 'network-scripts'],
  ])('are not written where %s', (_, config, backend) => {
    expect(namesIn(runOnce(on(backend, worldOf({ 'ifcfg-eth1': BY_CLOUD_INIT }, config))))).toEqual([
      'ifcfg-eth1',
    ]);
  });

  test('go when the backend is none by the word of the operator, and what was there before stays kept', () => {
    const first = runOnce(worldOf({ 'ifcfg-eth1': BY_CLOUD_INIT }));
    const second = runOnce({ ...first, config: configOf(NO_BACKEND) });
    expect(filesIn(second)).toEqual(['ifcfg-eth1.orig kept']);
    expect(stepsOf(second)).toEqual([]);
    expect(filesIn(runOnce({ ...runOnce(second), metadata: ALONE }))).toEqual(['ifcfg-eth1 theirs']);
  });

  test('stay as they are when a template fails, and the plan says so; the kernel is set up all the same', () => {
    const world = worldOf({ 'ifcfg-eth1': OURS });
    const templates = {
      ...SHIPPED,
      ifcfg: () => {
        throw new Error('no such helper');
      },
    };
    const { plan } = lookAt({ ...world, templates });
    expect(plan.problems).toMatchObject([{ mac: macOf(2) }]);
    expect(plan.problems[0]?.message).toMatch(/ifcfg\.eta for eth1: no such helper.*stay as they are/);
    expect(plan.steps.filter(({ kind }) => kind.endsWith('-file'))).toEqual([]);
    expect(plan.steps.map(({ kind }) => kind)).toContain('add-address');
  });

  test('say of an address that it is ours, which the distribution brought up for us', () => {
    const first = runOnce(worldOf({}));
    const forgetful = { ...first, host: { ...first.host, state: { ...first.host.state, nics: {} } } };
    const { nics } = runOnce(forgetful).host.state;
    expect(nics[macOf(2)]?.addresses).toEqual([{ address: '10.0.1.4', prefixLength: 24 }]);
  });
});
