/** The manual pages of the packages, and the pages of docs/ that they are made of. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import pkg from '../package.json' with { type: 'json' };
import { createManPage } from './man.ts';

const DOCS = path.join(import.meta.dirname, '../docs');
const { version } = pkg;

export const MAN_PAGES = {
  'eni-agent.8': () =>
    createManPage(readFileSync(path.join(DOCS, 'cli.md'), 'utf8'), {
      name: 'eni-agent',
      section: 8,
      summary: 'configures the elastic NICs and private IPs of a VM as its cloud assigned them',
      version,
      seeAlso:
        'eni-agent.yaml(5), eni-agent-hooks(7), systemctl(1), ip-rule(8); all of the documentation is in /usr/share/doc/eni-agent',
    }),
  'eni-agent.yaml.5': () =>
    createManPage(readFileSync(path.join(DOCS, 'configuration.md'), 'utf8'), {
      name: 'eni-agent.yaml',
      section: 5,
      summary: 'configuration of eni-agent, in /etc/eni-agent/config.yaml',
      version,
      seeAlso: 'eni-agent(8), eni-agent-hooks(7)',
    }),
  'eni-agent-hooks.7': () =>
    createManPage(readFileSync(path.join(DOCS, 'hooks.md'), 'utf8'), {
      name: 'eni-agent-hooks',
      section: 7,
      summary: 'programs that are told when an address or a NIC came or went',
      version,
      seeAlso: 'eni-agent(8), eni-agent.yaml(5), systemd-run(1), journalctl(1)',
    }),
} as const;
