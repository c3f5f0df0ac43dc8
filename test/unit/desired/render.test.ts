import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseIfcfg } from '../../../src/desired/ifcfg.ts';
import { renderFiles } from '../../../src/desired/render.ts';
import { parseRouteFile, parseRuleFile } from '../../../src/desired/routing-files.ts';
import { BACKENDS, type Backend } from '../../../src/model/config.ts';
import { FILE_KINDS, type FileKind } from '../../../src/model/files.ts';
import {
  formatInterfaceAddress,
  ipFromBytes,
  networkOf,
  parseIfName,
  parseMacAddress,
} from '../../../src/model/net.ts';
import type { Template, Templates } from '../../../src/model/templates.ts';
import { loadTemplates } from '../../../src/system/templates.ts';
import { sized } from '../../lab/settled.ts';
import { assertMeans } from '../distribution/rendered.ts';
import { directRoute, gatewayRoute, type NicText, nicInput, rulesFor } from './nic-input.ts';

const SHIPPED = await loadTemplates(fileURLToPath(new URL('../../../templates/', import.meta.url)));

const DUAL_STACK: NicText = {
  mtu: 1500,
  addresses: ['10.0.1.4/24', '10.0.1.5/24', '2001:db8:1::4/64', '2001:db8:1::5/64'],
  routes: [
    directRoute('10.0.1.0/24', 21001),
    gatewayRoute('0.0.0.0/0', '10.0.1.1', 21001),
    directRoute('2001:db8:1::/64', 21001),
    gatewayRoute('::/0', 'fe80::1', 21001),
  ],
  rules: rulesFor('eth1', 21001, ['10.0.1.4/24', '10.0.1.5/24', '2001:db8:1::4/64']),
};

describe('rendering', () => {
  test('writes the MTU only when one is set', () => {
    expect(fileOf('ifcfg', { mtu: 1400 })).toContain('\nNOZEROCONF=yes\nMTU=1400\nIPADDR0=');
    expect(fileOf('ifcfg', { mtu: null })).not.toContain('MTU');
  });

  test('makes no route or rule file without a line', () => {
    expect(kindsOf({})).toEqual(['ifcfg']);
    expect(kindsOf({ routes: [directRoute('10.0.1.0/24', 21001)] })).toEqual(['ifcfg', 'route']);
    expect(kindsOf(DUAL_STACK)).toEqual(['ifcfg', 'route', 'rule', 'route6', 'rule6']);
  });

  test('writes extra routes of main with the number of its table', () => {
    const routes = [gatewayRoute('172.16.0.0/12', '10.0.1.9', 254)];
    expect(fileOf('route', { routes })).toBe(
      '# Managed by eni-agent.\n172.16.0.0/12 via 10.0.1.9 dev eth1 table 254\n',
    );
  });

  test('writes a NIC that has IPv6 alone', () => {
    expect(parseIfcfg(fileOf('ifcfg', { addresses: ['2001:db8::4/64'] }))).toHaveProperty('value.addresses', [
      { address: '2001:db8::4', prefixLength: 64 },
    ]);
  });

  test('refuses more IPv4 addresses than network-scripts read', () => {
    const addresses = Array.from({ length: 257 }, (_, index) => `10.0.${index >> 8}.${index & 255}/16`);
    expect(kindsOf({ addresses: addresses.slice(0, 256) })).toEqual(['ifcfg']);
    expect(render({ addresses })).toEqual({
      problem: 'rendering the files of eth1: 257 IPv4 addresses; network-scripts read 256',
    });
  });

  test('refuses a route that a file cannot say', () => {
    const route = directRoute('10.0.1.0/24', 21001);
    for (const odd of [
      { ...route, type: 'throw' as const },
      { ...route, metric: 7 },
    ]) {
      expect(render({ routes: [odd] })).toHaveProperty(
        'problem',
        expect.stringContaining('has no form in a file'),
      );
    }
  });

  test('of an interface whose name is a word that a broken template prints works', () => {
    expect(kindsOf({ ifname: 'null' })).toEqual(['ifcfg']);
    expect(
      kindsOf({ ifname: 'undefined', rules: rulesFor('undefined', 21001, ['10.0.1.4/24']) }),
    ).toHaveLength(2);
  });

  test('gives back what was put in, for every NIC that can be described', () => {
    fc.assert(
      fc.property(nicText(), (text) => {
        const rendered = render(text);
        expect(rendered).not.toHaveProperty('problem');
        const { ifname, mac, mtu, addresses } = nicInput(text);
        expect(parseIfcfg(fileOf('ifcfg', text))).toEqual({
          value: { ifname, mac, mtu, addresses, rules: null },
        });
        // The parser of a changed file knows every line of an unchanged one.
        for (const { path, content } of filesOf(text)) {
          const parse = /\/route6?-/.test(path) ? parseRouteFile : parseRuleFile;
          if (!path.includes('/ifcfg-')) expect(parse(content)).not.toHaveProperty('problem');
        }
      }),
    );
  });
});

describe('a template of the operator', () => {
  test('may add comments, empty lines, a firewalld zone and USERCTL, and reorder an ifcfg file', () => {
    const changed = changing('ifcfg', (text) => {
      const [marker, ...lines] = text.trimEnd().split('\n');
      return `${[marker, '', '# ours', ...lines.toReversed(), 'ZONE=trusted', 'USERCTL=no'].join('\n')}\n`;
    });
    expect(render(DUAL_STACK, changed)).toHaveProperty('files');
  });

  test.each<[string, (text: string) => string, string]>([
    ['prints a value that it was not given', (text) => `${text}# mtu undefined\n`, 'undefined'],
    ['prints an object', (text) => text.replace('10.0.1.4', '[object Object]'), '[object'],
    ['ends its lines with CRLF', (text) => text.replaceAll('\n', '\r\n'), '0x0d'],
    ['has a tab', (text) => text.replace('TYPE=', '\tTYPE='), '0x09'],
    ['continues a line', (text) => `${text}# comment \\\n`, '0x5c'],
    ['turns its text around', (text) => `${text}# \u202e\n`, '0x202e'],
    ['loses the final newline', (text) => text.trimEnd(), 'the last line has no end'],
    ['drops the marker', (text) => text.slice(text.indexOf('\n') + 1), 'marker'],
    ['drops a line', (text) => text.replace('NOZEROCONF=yes\n', ''), 'NOZEROCONF=yes is missing'],
    ['brings a second default route', (text) => `${text}GATEWAY=10.0.1.1\n`, 'GATEWAY=10.0.1.1'],
    ['runs a command', (text) => text.replace('PREFIX0=24', 'PREFIX0=$(reboot)'), '$(reboot)'],
    ['runs a command in a zone', (text) => `${text}ZONE=$(reboot)\n`, '$(reboot)'],
    ['runs a command after a value', (text) => text.replace('yes\n', 'yes; reboot\n'), 'ONBOOT=yes; reboot'],
    ['sets a key twice', (text) => `${text}TYPE=Ethernet\n`, 'TYPE is set twice'],
    ['quotes a value', (text) => text.replace('IPADDR1=10.0.1.5', 'IPADDR1="10.0.1.5"'), '"10.0.1.5"'],
    ['writes octal', (text) => text.replace('IPADDR1=10.0.1.5', 'IPADDR1=10.0.1.05'), '10.0.1.05'],
    ['leaves a gap in the numbers', (text) => text.replaceAll(/(?<=[A-Z])1=/g, '2='), 'IPADDR2'],
    [
      'swaps the primary address',
      (text) => text.replace('1.4\n', '1.9\n').replace('1.5\n', '1.4\n').replace('1.9\n', '1.5\n'),
      'expected IPADDR0=10.0.1.4, found IPADDR0=10.0.1.5',
    ],
    ['takes another MAC', (text) => text.replace('00:02', '00:03'), 'found HWADDR=02:00:00:00:00:03'],
  ])('that %s is refused', (_, change, words) => {
    const { problem } = problemOf(DUAL_STACK, changing('ifcfg', change));
    expect(problem).toMatch(/^rendering template ifcfg\.eta for eth1: /);
    expect(problem).toContain(words);
  });

  test.each<[FileKind, (text: string) => string]>([
    ['route', (text) => text.replaceAll(' table 21001', '')],
    ['route', (text) => text.replaceAll('21001', 'main')],
    ['route', (text) => text.replace('default', '0.0.0.0/0')],
    ['route', (text) => `${text}default via 10.0.1.1 dev eth1 table 254\n`],
    ['route', (text) => text.replace('21001\n', '21001 # ours\n')],
    ['route', (text) => text.replace('10.0.1.0/24', '10.0.1.7/24')],
    ['route', (text) => text.replace('10.0.1.0/24', '*')],
    ['route6', (text) => text.replace('dev eth1 table', 'dev eth1 scope link table')],
    ['rule', (text) => text.replaceAll(' priority 21001', '')],
    ['rule', (text) => text.replace('from 10.0.1.4', 'from all')],
    ['rule', (text) => text.replace('from 10.0.1.4', 'from 10.0.1.4/32')],
    ['rule', (text) => text.replace('oif eth1', 'oif eth0')],
    ['rule6', (text) => text.replace('2001:db8:1::4', '2001:0db8:1::4')],
    ['rule6', (text) => text.replace('priority 21001\n', 'priority 0\n')],
  ])('%s with a changed line is refused', (kind, change) => {
    const { problem } = problemOf(DUAL_STACK, changing(kind, change));
    expect(problem).toContain(`rendering template ${kind}.eta for eth1: `);
  });

  test('that sets a key of a keyfile twice is refused', () => {
    const twice = changing('keyfile', (text) => text.replace(/^(address1=.*)$/m, '$1\n$1'));
    expect(render(DUAL_STACK, twice, 'networkmanager-keyfile')).toEqual({
      problem: 'rendering template keyfile.eta for eth1: ipv4.address1 is set twice',
    });
  });

  test('that writes the keys of a keyfile out, without its sections, is refused', () => {
    const flat = changing('keyfile', (text) => {
      let section = '';
      const lines = text.trimEnd().split('\n');
      return `${lines
        .flatMap((line) => {
          section = /^\[(.+)\]$/.exec(line)?.[1] ?? section;
          return line.startsWith('[') ? [] : [line.includes('=') ? `${section}.${line}` : line];
        })
        .join('\n')}\n`;
    });
    const rendered = render(DUAL_STACK, flat, 'networkmanager-keyfile');
    expect(rendered).toEqual({
      problem: 'rendering template keyfile.eta for eth1: not an assignment: connection.id=eni-agent-eth1',
    });
  });

  test('that throws is refused with what it said', () => {
    const throwing = { ...SHIPPED, rule: () => throwError('it.ruels is not iterable') };
    expect(problemOf(DUAL_STACK, throwing).problem).toContain('rule.eta for eth1: it.ruels is not iterable');
  });

  test('never gets a changed line through, whichever file, line and character it is', () => {
    const place = fc.record({
      kind: fc.constantFrom(...FILE_KINDS),
      backend: fc.constantFrom(...BACKENDS),
      line: fc.nat(),
      column: fc.nat(),
    });
    fc.assert(
      fc.property(
        place,
        fc.string({ minLength: 1, maxLength: 4 }),
        ({ kind, backend, line, column }, inserted) => {
          const tampered = changing(kind, (text) => insertAt(text, { line, column, inserted }));
          const result = render(DUAL_STACK, tampered, backend);
          // What was inserted before a `#` or a line end may have made an empty line or a comment: harmless by the grammar.
          if ('files' in result)
            expect(meaningOf(result.files)).toEqual(meaningOf(filesOf(DUAL_STACK, backend)));
        },
      ),
      { numRuns: sized(300, 10_000) },
    );
  });
});

function render(text: NicText, templates: Templates = SHIPPED, backend: Backend = 'network-scripts') {
  return renderFiles(nicInput(text), backend, templates);
}

function filesOf(text: NicText, backend?: Backend) {
  const rendered = render(text, SHIPPED, backend);
  if ('problem' in rendered) throw new Error(rendered.problem);
  if (backend !== 'none') assertMeans(rendered.files, nicInput(text));
  return rendered.files;
}

function problemOf(text: NicText, templates: Templates) {
  const rendered = render(text, templates);
  return 'problem' in rendered ? rendered : { problem: 'none' };
}

function fileOf(kind: FileKind, text: NicText): string {
  return filesOf(text).find(({ path }) => path.includes(`/${kind}-`))?.content ?? '';
}

function kindsOf(text: NicText) {
  return filesOf(text).map(({ path }) => /([a-z0-9]+)-[^/]+$/.exec(path)?.[1]);
}

/** The shipped templates, one of them with a change of its output. */
function changing(kind: FileKind, change: (text: string) => string): Templates {
  const shipped: Template = SHIPPED[kind];
  return { ...SHIPPED, [kind]: (data: object) => change(shipped(data)) };
}

function insertAt(
  text: string,
  { line, column, inserted }: { line: number; column: number; inserted: string },
) {
  const lines = text.split('\n');
  // The first line is a comment: anything may stand in it.
  const at = 1 + (line % (lines.length - 2));
  const old = lines[at] ?? '';
  const cut = column % (old.length + 1);
  return lines.with(at, old.slice(0, cut) + inserted + old.slice(cut)).join('\n');
}

function meaningOf(files: readonly { readonly content: string }[]) {
  return files.map(({ content }) =>
    content.split('\n').filter((line) => line !== '' && !line.startsWith('#')),
  );
}

function throwError(message: string): never {
  throw new Error(message);
}

/** Any NIC: each family in one subnet, an address once. */
function nicText(): fc.Arbitrary<NicText> {
  const ifname = fc
    .stringMatching(/^[A-Za-z0-9_.-]{1,15}$/)
    .filter((text) => parseIfName(text) !== undefined);
  const mac = fc
    .uint8Array({ minLength: 6, maxLength: 6 })
    .map((bytes) =>
      Buffer.from(bytes)
        .toString('hex')
        .replaceAll(/(..)(?=.)/g, '$1:'),
    )
    .filter((text) => parseMacAddress(text) !== undefined);
  const mtu = fc.option(fc.integer({ min: 68, max: 65_535 }));
  const table = fc.integer({ min: 1, max: 0xffff_ffff });
  return fc
    .record({ ifname, mac, mtu, table, ipv4: addresses(4, 32), ipv6: addresses(16, 128) })
    .map(({ table, ipv4, ipv6, ...link }) => ({
      ...link,
      addresses: [...ipv4, ...ipv6].map(formatInterfaceAddress),
      routes: [...ipv4.slice(0, 1), ...ipv6.slice(0, 1)].map((entry) => directRoute(networkOf(entry), table)),
      rules: rulesFor(link.ifname, table, [...ipv4, ...ipv6].map(formatInterfaceAddress)),
    }));
}

function addresses(length: 4 | 16, bits: number) {
  const address = fc.uint8Array({ minLength: length, maxLength: length }).map(ipFromBytes);
  const prefixLength = fc.integer({ min: 1, max: bits });
  return fc
    .tuple(fc.uniqueArray(address, { maxLength: 12 }), prefixLength)
    .map(([all, length]) => all.map((entry) => ({ address: entry, prefixLength: length })));
}
