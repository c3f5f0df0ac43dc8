/**
 * docs/troubleshooting.md, symptom by symptom: a VM is brought into that state, the section's files are written and its commands typed, and
 * what they print is what the page shows. ENI_WRITE_DOCS=1 writes it there.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { type CodeBlock, ROOT, readPage } from '../lab/markdown.ts';
import { openLab } from '../lab/open-lab.ts';
import { typeIn } from '../lab/operator.ts';
import { SYMPTOMS } from '../lab/symptoms.ts';
import { type Exchange, formatTranscript, isShownAs, parseTranscript } from '../lab/transcript.ts';
import { until } from '../lab/until.ts';
import type { Vm } from '../lab/vm.ts';

const PAGE = 'docs/troubleshooting.md';
const CONFIG = '/etc/eni-agent/config.yaml';
const IS_WRITTEN = process.env['ENI_WRITE_DOCS'] === '1';
/** They are typed once; what only looks is typed again until it shows what a daemon has done meanwhile. */
const CHANGES = /^(?:eni-agent (?:reconfigure|boot|release)\b|ip \S+ del\b)/;
const SETTLING_MS = IS_WRITTEN ? 500 : 5_000;

const { headings, blocks } = readPage(PAGE);

test('every symptom of the page is one that is tried, and no other', () => {
  const sections = headings.filter(({ depth }) => depth === 2).map(({ text }) => text);
  expect(sections).toEqual(Object.keys(SYMPTOMS));
});

test.each(Object.entries(SYMPTOMS))('%s', async (section, { options = {}, bring, after }) => {
  const lab = await openLab(options);
  const vm = await bring(lab);
  for (const block of blocks.filter((each) => each.section === section)) {
    if (block.file === CONFIG) await vm.writeConfig(block.text);
    if (block.language === 'console') await tryBlock(vm, block);
  }
  await after?.(lab, vm);
});

async function tryBlock(vm: Vm, { section, text }: CodeBlock): Promise<void> {
  const exchanges: Exchange[] = [];
  for (const { command, output: shown } of parseTranscript(text)) {
    const output = await outputOf(vm, command, shown);
    const isAsShown = isShownAs(shown, output);
    if (!IS_WRITTEN) expect(isAsShown, `${command}\n${output}`).toBe(true);
    exchanges.push({ command, output: isAsShown ? shown : output });
  }
  if (IS_WRITTEN) await rewrite(section, text, formatTranscript(exchanges));
}

async function outputOf(vm: Vm, command: string, shown: string): Promise<string> {
  const type = async (): Promise<string> => (await typeIn(vm, command)).output.trimEnd();
  if (CHANGES.test(command)) return type();
  const typed = until({
    what: `${command} prints what ${PAGE} shows:\n${shown}\n`,
    read: type,
    holds: (seen) => isShownAs(shown, seen),
    deadlineMs: SETTLING_MS,
  });
  return IS_WRITTEN ? typed.catch(type) : typed;
}

/** Of two blocks with the same text, that of the section. */
async function rewrite(section: string, before: string, now: string): Promise<void> {
  const file = path.join(ROOT, PAGE);
  const parts = (await readFile(file, 'utf8')).split(/^(?=## )/m);
  const written = parts.map((part) =>
    part.startsWith(`## ${section}\n`) ? part.replace(before, () => now) : part,
  );
  await writeFile(file, written.join(''));
}
