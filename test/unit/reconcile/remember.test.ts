import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { createLog, type Log } from '../../../src/log.ts';
import { type AgentState, EMPTY_STATE } from '../../../src/model/state.ts';
import { beginRemembering } from '../../../src/reconcile/remember.ts';
import { createPaths, type Paths } from '../../../src/system/paths.ts';
import { readState } from '../../../src/system/state-file.ts';
import { macOf } from '../builders.ts';
import { makeFolder, removeFolder } from '../system/script.ts';

const STATE: AgentState = { ...EMPTY_STATE, released: [macOf(2)] };
const DURABLE = { durable: true };
const CORRUPT = { problem: 'it is torn', asideName: 'state.json.corrupt', isUnreadable: false };

let paths: Paths;
let log: Log;

beforeEach(async () => {
  const folder = await makeFolder();
  paths = createPaths(folder);
  log = createLog({ level: 'silent', stream: process.stderr });
  await mkdir(paths.stateDirectory, { recursive: true });
  await mkdir(paths.runDirectory, { recursive: true });
  for (const file of [paths.state, paths.previousState]) await writeFile(file, 'as it was');
  return () => removeFolder(folder);
});

async function names(): Promise<readonly string[]> {
  return (await readdir(paths.stateDirectory)).toSorted();
}

describe('before the first write of a run', () => {
  test('a file that cannot be used is set aside, and the generation before it stays', async () => {
    const remembrance = await beginRemembering(paths, CORRUPT, log);
    await remembrance.write(STATE, DURABLE);
    expect(remembrance.problem()).toBeNull();
    expect(readState(paths)).toEqual({ state: STATE, rejected: null, parked: null });
    expect(await names()).toEqual(['state.json', 'state.json.corrupt', 'state.json.previous']);
    expect(await readFile(paths.previousState, 'utf8')).toBe('as it was');
  });

  test('what is of another machine is set aside, and of its generation before it and its history nothing stays', async () => {
    await writeFile(paths.history, 'what happened there');
    const foreign = { ...CORRUPT, asideName: 'state.json.other-machine', isForeign: true };
    const remembrance = await beginRemembering(paths, foreign, log);
    await remembrance.write(STATE, DURABLE);
    expect(await names()).toEqual(['state.json', 'state.json.other-machine']);
  });

  test('what cannot be read just now is not touched at all, and that is said', async () => {
    const unreadable = { problem: 'EACCES', asideName: null, isUnreadable: true };
    const remembrance = await beginRemembering(paths, unreadable, log);
    await remembrance.write(STATE, DURABLE);
    expect(remembrance.problem()).toBe('EACCES');
    expect(await readFile(paths.state, 'utf8')).toBe('as it was');
    expect(await readdir(paths.runDirectory)).toEqual([]);
  });

  test('what cannot be set aside is not overwritten: the state goes to /run', async () => {
    const nowhere = { ...CORRUPT, asideName: 'no/such/folder' };
    const remembrance = await beginRemembering(paths, nowhere, log);
    await remembrance.write(STATE, DURABLE);
    expect(remembrance.problem()).toMatch(
      /no\/such\/folder: ENOENT.*; kept in .*run\/eni-agent\/state\.json/,
    );
    expect(await readFile(paths.state, 'utf8')).toBe('as it was');
    expect(readState(paths)).toMatchObject({ state: STATE, parked: remembrance.problem() });
  });
});
