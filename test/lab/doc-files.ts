/** The files that a page of the documentation shows, so that a test runs what is written there and nothing else. */
import { readPage } from './markdown.ts';

/** By path. A block is a file when its first line names one: three backticks, a language, `/etc/eni-agent/config.yaml`. */
export function filesOfDoc(page: string, section: string): Readonly<Record<string, string>> {
  const blocks = readPage(`docs/${page}`).blocks.filter(
    (block) => block.section === section && block.file.startsWith('/'),
  );
  if (blocks.length === 0) throw new Error(`reading docs/${page}: "${section}" shows no file`);
  return Object.fromEntries(blocks.map(({ file, text }) => [file, text]));
}
