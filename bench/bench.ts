/** `npm run bench`: says why it cannot run here, or measures (measure.ts) inside private namespaces. */
import { runInside } from '../test/lab/inside.ts';

process.exitCode = runInside({
  name: 'The benchmark',
  file: new URL('./measure.ts', import.meta.url).pathname,
  tools: ['strace'],
});
