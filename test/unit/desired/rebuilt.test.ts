import { describe, expect, test } from 'vitest';
import { withRebuiltNics } from '../../../src/desired/rebuilt.ts';
import { hostOf, link, macOf, owned, TABLE_BASE } from '../builders.ts';

const SCRIPTS = '/etc/sysconfig/network-scripts';
const MARKER = '# Managed by eni-agent.\n';

function filesOf(n: number, ifname: string, table: number): Readonly<Record<string, string>> {
  return {
    [`${SCRIPTS}/ifcfg-${ifname}`]: `${MARKER}DEVICE=${ifname}\nHWADDR=${macOf(n)}\nIPADDR0=10.0.1.4\n`,
    [`${SCRIPTS}/rule-${ifname}`]: `${MARKER}from 10.0.1.4 table ${table} priority ${table}\n`,
  };
}

function rebuilt(files: Readonly<Record<string, string>>, nics = {}) {
  return withRebuiltNics(hostOf({ links: [link(1, 'eth0')], files, nics }), TABLE_BASE).state.nics;
}

describe('a NIC that the state has lost', () => {
  test('has the table of its files, and owns them and nothing else', () => {
    const files = [`${SCRIPTS}/ifcfg-eth3`, `${SCRIPTS}/rule-eth3`];
    expect(rebuilt(filesOf(4, 'eth3', TABLE_BASE + 7))).toEqual({
      [macOf(4)]: owned(7, 'eth3', '', { files }),
    });
  });

  test.each<[string, Readonly<Record<string, string>>]>([
    ['somebody else wrote it', { [`${SCRIPTS}/ifcfg-eth3`]: `HWADDR=${macOf(4)}\n` }],
    ['it names no MAC', { ...filesOf(4, 'eth3', TABLE_BASE + 7), [`${SCRIPTS}/ifcfg-eth3`]: MARKER }],
    ['it has no rule', { [`${SCRIPTS}/ifcfg-eth3`]: `${MARKER}HWADDR=${macOf(4)}\n` }],
    ['its table is none of ours', filesOf(4, 'eth3', TABLE_BASE + 256)],
    ["its table is the primary's", filesOf(4, 'eth3', TABLE_BASE)],
  ])('is not known by a file when %s', (_, files) => {
    expect(rebuilt(files)).toEqual({});
  });

  test('takes nothing from one that the state knows', () => {
    const known = { [macOf(4)]: owned(2, 'eth3'), [macOf(5)]: owned(7, 'eth4') };
    const files = { ...filesOf(4, 'eth3', TABLE_BASE + 3), ...filesOf(6, 'eth5', TABLE_BASE + 7) };
    expect(rebuilt(files, known)).toEqual(known);
  });

  test('shares its table with no other one', () => {
    const files = { ...filesOf(4, 'eth3', TABLE_BASE + 7), ...filesOf(5, 'eth4', TABLE_BASE + 7) };
    expect(Object.keys(rebuilt(files))).toEqual([macOf(4)]);
  });
});
