/** `npm run demo`: says why it cannot run here, or tells its story (story.ts) inside private namespaces. */
import { runInside } from '../lab/inside.ts';

process.exitCode = runInside({ name: 'The demo', file: new URL('./story.ts', import.meta.url).pathname });
