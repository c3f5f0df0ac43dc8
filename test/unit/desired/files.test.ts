import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { NETWORK_SCRIPTS } from '../../../src/model/files.ts';
import { describeStep } from '../../../src/plan/describe.ts';
import { loadTemplates } from '../../../src/system/templates.ts';
import { type ConfigText, configOf, eni, hostOf, instance, link, macOf, owned } from '../builders.ts';
import { lookAt, runOnce, type World } from '../simulator.ts';

const SHIPPED = await loadTemplates(fileURLToPath(new URL('../../../templates/', import.meta.url)));
const BY_CLOUD_INIT = '# Created by cloud-init on instance boot automatically, do not edit.\nDEVICE=eth1\n';
const BY_HAND = 'DEVICE=eth1\nBOOTPROTO=dhcp\n';
const MARKER = '# Managed by eni-agent.';
const OURS = `${MARKER}\n`;
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

/** Names of the files that there are, and whether they are ours, kept, or somebody's. */
function filesIn({ host }: World): readonly string[] {
  return host.files
    .map(({ path, content }) => {
      const whose = path.endsWith('.orig') ? 'kept' : content.startsWith(MARKER) ? 'ours' : 'theirs';
      return `${path.slice(NETWORK_SCRIPTS.length + 1)} ${whose}`;
    })
    .toSorted();
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

  test.each<readonly [string, ConfigText, boolean]>([
    ['there is no folder for them', {}, false],
    ['the backend is none', { persistence: { backend: 'none' } }, true],
  ])('are not written where %s', (_, config, hasNetworkScripts) => {
    const world = worldOf({}, config);
    const { interfaces } = lookAt({ ...world, host: { ...world.host, hasNetworkScripts } }).desired;
    expect(interfaces.map(({ files }) => files)).toEqual([null, null]);
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
