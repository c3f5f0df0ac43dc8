import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodeOfError } from '../../src/commands/exit-codes.ts';
import { AgentError, ERROR_CODES, type ErrorCode, errorMessage } from '../../src/errors.ts';

const ROOT = path.join(import.meta.dirname, '../..');
const CODES = Object.keys(ERROR_CODES) as ErrorCode[];

/** Code → what is below its heading. */
function readSections(): ReadonlyMap<string, string> {
  const [, ...sections] = readFileSync(`${ROOT}/docs/errors.md`, 'utf8').split(/^## /m);
  return new Map(
    sections.map((section) => {
      const [heading = '', ...lines] = section.split('\n');
      return [heading.replaceAll('`', ''), lines.join('\n').trim()];
    }),
  );
}

/** All of src but the catalogue itself and what only sorts by code. */
function readSources(): string {
  const names = readdirSync(`${ROOT}/src`, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.ts') && !['errors.ts', 'commands/exit-codes.ts'].includes(name))
    .map((name) => readFileSync(`${ROOT}/src/${name}`, 'utf8'))
    .join('\n');
}

describe('the errors of docs/errors.md', () => {
  test('are those of the catalogue, in its order', () => {
    expect([...readSections().keys()]).toEqual(CODES);
  });

  test.each(CODES)('%s has its exit code, its retry, and what it means', (code) => {
    const { retry } = new AgentError(code, '');
    const exitCode = exitCodeOfError(new AgentError(code, ''));
    const [facts, , ...text] = (readSections().get(code) ?? '').split('\n');
    expect(facts).toBe(`Exit code: ${exitCode} · Retry: ${retry}`);
    expect(text.join(' ').length).toBeGreaterThan(100);
  });
});

describe('an error', () => {
  const sources = readSources();

  test.each(CODES)('%s is met somewhere', (code) => {
    expect(sources).toContain(`'${code}'`);
  });

  test('has the retry of its code, its cause and its details', () => {
    const cause = new Error('EIO');
    const error = new AgentError('file-failed', 'writing x: EIO', { cause, details: { path: 'x' } });
    expect(error).toMatchObject({ name: 'AgentError', retry: 'backoff', cause, details: { path: 'x' } });
    expect(new AgentError('usage', '')).not.toHaveProperty('cause');
  });

  test('of any kind has a message', () => {
    expect(errorMessage(new AgentError('usage', 'no such NIC'))).toBe('no such NIC');
    expect(errorMessage('thrown')).toBe('thrown');
    expect(errorMessage(undefined)).toBe('undefined');
  });
});
