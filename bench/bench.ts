/** `npm run bench`: says why it cannot run here, or measures (measure.ts) inside private namespaces. */
import { whyNotBootSystemd } from '../test/lab/enter.ts';
import { runInside } from '../test/lab/inside.ts';

const refusal = whyNotBootSystemd();
if (refusal !== undefined) console.error(`Without the rows of hooks, which need systemd: ${refusal}.`);
process.env['ENI_BENCH_HOOKS'] = refusal === undefined ? 'true' : 'false';

process.exitCode = runInside({
  name: 'The benchmark',
  file: new URL('./measure.ts', import.meta.url).pathname,
  tools: ['strace'],
});
