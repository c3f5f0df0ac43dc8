/** Programs of others that believe they own the NICs as well (docs/migrating.md). */

import { shellWord } from '../model/shell-word.ts';
import type { OtherAgent } from '../model/surroundings.ts';
import type { Facts } from './facts.ts';
import { type Finding, notChecked, type Verdict, verdict } from './findings.ts';
import { pathIn } from './shell.ts';

const OWN_RULES = '/etc/udev/rules.d/';

export function checkOtherAgents(facts: Facts): Verdict {
  const { otherAgents } = facts.surroundings;
  if ('unknown' in otherAgents) return notChecked(otherAgents.unknown);
  return verdict(...otherAgents.value.map((other) => otherFinding(other, facts)));
}

function otherFinding({ name, starter }: OtherAgent, facts: Facts): Finding {
  return {
    severity: 'warning',
    title: `${name} is installed and starts by itself: two agents that both own a NIC undo each other's work`,
    evidence: [starter.kind === 'unit' ? `${starter.link} is there` : `${starter.file} is a rule of udev`],
    fix: starter.kind === 'unit' ? [maskCommand(starter.units, facts)] : ruleFix(starter.file, facts),
  };
}

function maskCommand(units: readonly string[], { root }: Facts): string {
  const options = root === '' ? '--now' : `--root=${shellWord(root)}`;
  return `systemctl mask ${options} ${units.join(' ')}`;
}

/** That of a package is hidden: the next update would bring it back. */
function ruleFix(file: string, facts: Facts): readonly string[] {
  const name = file.slice(file.lastIndexOf('/') + 1);
  const command = file.startsWith(OWN_RULES)
    ? `mv ${pathIn(facts, file)} ${pathIn(facts, `${file}.disabled`)}`
    : `ln -s /dev/null ${pathIn(facts, `${OWN_RULES}${name}`)}`;
  return facts.root === '' ? [command, 'udevadm control --reload'] : [command];
}
