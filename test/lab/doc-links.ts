/** What is wrong with the links of a page: nothing of it is fetched. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { NOT_OURS, type Page, ROOT, readPage } from './markdown.ts';

/** `docs/cli.md: errors.md#nothing: …` for each; [] when all is well. */
export function brokenLinks(page: Page, root = ROOT): readonly string[] {
  const problems = page.links.flatMap((link) => {
    const problem = /^[a-z][a-z0-9+.-]*:/i.test(link) ? problemOfUrl(link) : problemOfPath(page, link, root);
    return problem === undefined ? [] : [`${page.file}: ${link}: ${problem}`];
  });
  // What marked could not make a link of, and a browser will not either.
  const torn = page.texts.filter((text) => /\]\(|\]\[/.test(text));
  return [...problems, ...torn.map((text) => `${page.file}: ${text}: a link that is none`)];
}

function problemOfUrl(link: string): string | undefined {
  if (!URL.canParse(link)) return 'no URL';
  const { protocol, hostname, username, href } = new URL(link);
  if (protocol !== 'https:' && protocol !== 'http:') return `${protocol} is not for documentation`;
  if (!/^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/.test(hostname)) return `${hostname} is no name of a host`;
  if (username !== '') return 'it has a user name';
  return href === link || href === `${link}/` ? undefined : `it should be written ${href}`;
}

function problemOfPath(page: Page, link: string, root: string): string | undefined {
  const [name = '', anchor] = link.split('#');
  if (name.startsWith('/')) return 'from the top of the file system';
  const file = name === '' ? page.file : path.join(path.dirname(page.file), decodeURI(name));
  const [top = ''] = file.split('/');
  if (top === '..' || NOT_OURS.includes(top)) return 'it is not in the repository';
  if (name !== '' && !existsSync(path.join(root, file))) return `there is no ${file}`;
  if (anchor === undefined) return undefined;
  if (!file.endsWith('.md')) return 'it has no headings';
  const { headings } = name === '' ? page : readPage(file, root);
  return headings.some((heading) => heading.anchor === decodeURI(anchor))
    ? undefined
    : `${file} has no such heading`;
}
