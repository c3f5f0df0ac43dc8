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
        'eni-agent.yaml(5), systemctl(1), ip-rule(8); all of the documentation is in /usr/share/doc/eni-agent',
    }),
  'eni-agent.yaml.5': () =>
    createManPage(readFileSync(path.join(DOCS, 'configuration.md'), 'utf8'), {
      name: 'eni-agent.yaml',
      section: 5,
      summary: 'configuration of eni-agent, in /etc/eni-agent/config.yaml',
      version,
      seeAlso: 'eni-agent(8)',
    }),
} as const;
