/** Commands as an operator types them. */
import { shellWord } from '../model/shell-word.ts';
import type { Facts } from './facts.ts';

/** A path as it is below the root directory, quoted. */
export function pathIn({ root }: Facts, path: string): string {
  return shellWord(`${root}${path}`);
}

export function agent({ root }: Facts, command: string): string {
  return root === '' ? `eni-agent ${command}` : `eni-agent --root ${shellWord(root)} ${command}`;
}

export function appendLine(facts: Facts, path: string, line: string): string {
  return `printf '%s\\n' ${shellWord(line)} >> ${pathIn(facts, path)}`;
}

/** Removes each line that is this text; white space of any kind, and what cannot be typed stands for any of its kind. */
export function deleteLine(facts: Facts, path: string, line: string): string {
  const pattern = line
    .replaceAll(/[[\].*^$\\/]/g, '\\$&')
    .replaceAll(/\s+/g, '[[:space:]]\\+')
    .replaceAll(/[^ -~]+/g, '.*');
  return `sed -i ${shellWord(`/^${pattern}$/d`)} ${pathIn(facts, path)}`;
}

/** An ending that network-scripts and NetworkManager pass over (FACTS §2). */
export function setAside(facts: Facts, path: string): string {
  return `mv ${pathIn(facts, path)} ${pathIn(facts, `${path}.bak`)}`;
}
