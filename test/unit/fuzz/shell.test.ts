/** The sandbox of the fuzz sees what a file does: a check that is blind must not be green. */
import { expect, test } from 'vitest';
import { evaluate } from './shell.ts';

const HOSTILE: readonly string[] = [
  'A=$(touch x)',
  'A=`touch x`',
  'A=$(< ../1)',
  'A=1; echo hello',
  'A=1 touch x',
  'A=1 && B=$A',
  'export A=1',
  'A=(1 2)',
  'A=$((B=1))',
  'A=${B:=1}',
  'A="',
  'A=(',
  'f() { :; }',
  'trap : EXIT',
  'set -x',
  'shopt -s extglob',
  'alias a=b',
  'umask 0',
  'cd /',
  'exit 0',
  'return 3',
  'unset HOME PATH',
  'PATH=/bin',
  'IFS=x',
  'reboot',
  'A=1 &',
  'A=~',
  'A=\\x',
  'A=1\r',
];

test('what only assigns is seen as what it assigns', async () => {
  const [seen] = await evaluate('source', ['# $(touch x)\nA=10.0.1.4\nB="2001:db8::4/64 2001:db8::5/64"\n']);
  expect(seen).toEqual({ lines: ['A=10.0.1.4', 'B=2001:db8::4/64 2001:db8::5/64'], anomalies: [] });
});

test('whatever else a line does, or says, is seen', async () => {
  const seen = await evaluate(
    'source',
    HOSTILE.map((line) => `${line}\n`),
  );
  const blind = HOSTILE.filter(
    (line, index) => seen[index]?.anomalies.length === 0 && seen[index].lines.join('\n') === line,
  );
  expect(blind).toEqual([]);
});

test('a file that writes another one is not let through', async () => {
  await expect(evaluate('source', ['A=1 > x\n'])).rejects.toThrow('changed the folder');
});

test('a line that ip is given otherwise than it is written is seen', async () => {
  const lines = ['from * table 1', 'a \\', "a'b  c", 'a # b\\tc', ' indented'];
  const seen = await evaluate(
    'read',
    lines.map((line) => `${line}\nnext\n`),
  );
  const blind = lines.filter((line, index) => seen[index]?.lines.join('\n') === `${line}\nnext`);
  expect(blind).toEqual([]);
});

test('lines for ip are seen as they are written', async () => {
  const [seen] = await evaluate('read', ['# a comment\n\ndefault via 10.0.1.1 dev eth1 table 21001\n']);
  expect(seen).toEqual({ lines: ['default via 10.0.1.1 dev eth1 table 21001'], anomalies: [] });
});
