/** File sets that the real programs were seen to read well, to be broken in one place. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Folder } from '../../distribution/meaning.ts';

const FIXTURES = fileURLToPath(new URL('../../golden/fixtures/', import.meta.url));

export const LINKS = [{ name: 'eth1', mac: '02:00:00:00:00:02' }];

export function fixtureFolder(set: string): Folder {
  const names = readdirSync(FIXTURES + set).filter((name) => name.endsWith('-eth1'));
  return new Map(names.map((name) => [name, readFileSync(`${FIXTURES}${set}/${name}`, 'utf8')]));
}

/** The folder with one file changed; of a file that is not there the text is ''. */
export function changing(folder: Folder, file: string, change: (text: string) => string): Folder {
  return new Map([...folder, [file, change(folder.get(file) ?? '')]]);
}
