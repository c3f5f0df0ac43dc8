/** Whatever NIC is rendered: the distribution's programs read back what was asked for, and have nothing to say. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderFiles } from '../../../src/desired/render.ts';
import { BACKENDS } from '../../../src/model/config.ts';
import { nicInput } from '../desired/nic-input.ts';
import { FULL_TIMEOUT_MS, RUNS, SHIPPED } from '../scenarios.ts';
import { anyNic } from './any-nic.ts';
import { assertMeans } from './rendered.ts';

test.each(BACKENDS.filter((backend) => backend !== 'none'))(
  'the files for %s mean what was asked for',
  (backend) => {
    fc.assert(
      fc.property(anyNic(), (text) => {
        const nic = nicInput(text);
        const rendered = renderFiles(nic, backend, SHIPPED);
        expect(rendered).not.toHaveProperty('problem');
        assertMeans('files' in rendered ? rendered.files : [], nic);
      }),
      { numRuns: RUNS * 4 },
    );
  },
  FULL_TIMEOUT_MS,
);
