/** What counts is beside the daemon's work, whatever happens to it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createExporter } from '../../../src/metrics/exporter.ts';
import { PRESENT, RUN } from './facts.ts';

test('a number that is none is said once, and the next ones are counted', async () => {
  const said: string[] = [];
  const note = (_: object, message: string): void => {
    said.push(message);
  };
  const exporter = createExporter({
    version: '1.2.3',
    look: () => Promise.resolve(PRESENT),
    below: (file) => file,
    log: { debug: note, info: note, warn: note, error: note },
  });
  await exporter.render();
  exporter.ran('link', { ...RUN, durationMs: Number.NaN });
  exporter.asked('request', 'success', Number.NaN);
  exporter.ran('link', RUN);
  exporter.asked('reading', 'success', 2);
  // A rejection that nobody caught would end a daemon, and this process, in this turn.
  await nextTurn();
  const { text } = await exporter.render();
  expect(text).toContain('eni_agent_runs_total{trigger="link",outcome="applied"} 2\n');
  expect(text).toContain('eni_agent_reconcile_duration_seconds_count 1\n');
  expect(text).toContain('eni_agent_metadata_reading_duration_seconds_count{result="success"} 1\n');
  expect(said).toEqual(['metrics miscounted']);
  await exporter.close();
});
