/** The files that a page of the documentation shows, so that a test runs what is written there and nothing else. */
import { readFile } from 'node:fs/promises';

/** By path. A block is a file when its first line names one: three backticks, a language, `/etc/eni-agent/config.yaml`. */
export async function filesOfDoc(page: string, section: string): Promise<Readonly<Record<string, string>>> {
  const text = await readFile(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  const found = text.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? '';
  const blocks = [...found.matchAll(/^```\w+ (\/\S+)\n(.*?)^```$/gms)];
  if (blocks.length === 0) throw new Error(`reading docs/${page}: "${section}" shows no file`);
  return Object.fromEntries(blocks.map(([, file = '', content = '']) => [file, content]));
}
