/** Text from outside ends on a terminal and in a log: it must not be able to write a line of its own there, or move the cursor. */
import { PassThrough } from 'node:stream';
import { describe, expect, test, vi } from 'vitest';
import { createOutput } from '../../src/commands/output.ts';
import { AgentError } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';
import { parseMetadataFile } from '../../src/metadata/file.ts';
import { excerpt } from '../../src/metadata/http-answer.ts';

/** A new line, an escape sequence, the same with one C1 character, and what a terminal or an editor takes for a line end or a turn. */
const HOSTILE = [
  '\n2026-01-01 all is well',
  '\r\u001b[2K\u001b[1A\u001b[8m',
  '\u009b2J\u0085\u0000\u007f\u0007',
  '\u2028\u2029\u202e\u2066\u061c\u200f',
].join('');
// oxlint-disable-next-line no-control-regex -- they are what it looks for
const RAW = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

function terminal({ isTTY = false } = {}) {
  const stream = Object.assign(new PassThrough(), { isTTY });
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => String(stream.read() ?? '') };
}

describe('the log', () => {
  test.each([true, false])(
    'is one line of printable text for one event (on a terminal: %s)',
    async (isTTY) => {
      const { stream, text } = terminal({ isTTY });
      createLog({ level: 'debug', stream }).error({ problem: HOSTILE, list: [HOSTILE] }, `seen: ${HOSTILE}`);
      const line = await vi.waitUntil(text);
      expect(line).toMatch(/^[^\n]+\n$/);
      expect(line).not.toMatch(RAW);
    },
  );

  test('in JSON says what came, to the character', async () => {
    const { stream, text } = terminal();
    createLog({ level: 'debug', stream }).error({ problem: HOSTILE }, HOSTILE);
    expect(JSON.parse(await vi.waitUntil(text))).toMatchObject({ msg: HOSTILE, problem: HOSTILE });
  });
});

describe('the output', () => {
  test('of a command shows control characters, and carries none out', () => {
    const { stream, text } = terminal();
    createOutput(stream, {}).line(`eth1 ${HOSTILE}`);
    expect(text()).toBe(
      'eth1 \n2026-01-01 all is well\\u000d\\u001b[2K\\u001b[1A\\u001b[8m\\u009b2J\\u0085\\u0000\\u007f\\u0007' +
        '\\u2028\\u2029\\u202e\\u2066\\u061c\\u200f\n',
    );
  });

  test('on a terminal has our colours and no other sequence', () => {
    const { stream, text } = terminal({ isTTY: true });
    const output = createOutput(stream, {});
    output.line(`${output.style('red', `! ${HOSTILE}`)} ${HOSTILE}`);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
    // oxlint-disable-next-line no-control-regex -- they are what it looks for
    const [begin, end, ...others] = text().match(/\u001b\[[^m]*m/g) ?? [];
    expect([begin, end, others]).toEqual(['\u001b[31m', '\u001b[39m', []]);
  });

  test('of --json is plain text, and says what came', () => {
    const { stream, text } = terminal();
    createOutput(stream, {}).json({ reason: HOSTILE });
    const json = text();
    expect(json).not.toMatch(RAW);
    expect(JSON.parse(json)).toEqual({ reason: HOSTILE });
  });
});

describe('an error message', () => {
  test('quotes what the metadata service answered on one line', () => {
    expect(excerpt(HOSTILE)).not.toMatch(RAW);
    expect(excerpt(HOSTILE)).not.toContain('\n');
  });

  test('names a key of a file on one line', () => {
    const key = JSON.stringify(HOSTILE);
    expect(problemOf(`${key}: 1\nprimaryMac: ${key}\ninterfaces: []\n`)).toHaveLength(3);
  });

  test('repeats no character of a file that YAML does not understand', () => {
    expect(problemOf('a: !\u202e\u009b x\n')).not.toHaveLength(0);
    expect(problemOf('a: "\\\u202e"\n')).not.toHaveLength(0);
  });

  function problemOf(yaml: string): readonly string[] {
    try {
      parseMetadataFile(yaml, 'metadata.yaml');
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      expect(error.message).not.toMatch(RAW);
      return error.message.split('\n');
    }
    return expect.fail('no problem');
  }
});
