/** A process in the VM's network that explains many pairs: `explain-probe.ts ROOT`, pairs on stdin, documents on stdout, both JSON. */
import { text } from 'node:stream/consumers';
import { loadConfig } from '../../src/config.ts';
import { diagnose } from '../../src/explain/diagnose.ts';
import { documentOf, type ExplainDocument } from '../../src/explain/document.ts';
import { openRtnetlink } from '../../src/kernel/socket.ts';
import { NO_MEMO } from '../../src/model/memo.ts';
import { type IpAddress, parseIpAddress } from '../../src/model/net.ts';
import { explain } from '../../src/reconcile/explain.ts';
import { createPaths } from '../../src/system/paths.ts';
import { assertPrivateNamespace } from '../lab/guard.ts';

export interface Pair {
  readonly from: string | null;
  readonly to: string;
}

assertPrivateNamespace();
const paths = createPaths(process.argv[2] ?? '');
const { config } = await loadConfig({ path: paths.config, root: paths.root });
const rtnetlink = openRtnetlink();
const documents: ExplainDocument[] = [];
for (const { from, to } of JSON.parse(await text(process.stdin)) as readonly Pair[]) {
  const flow = {
    destination: parseIpAddress(to) as IpAddress,
    source: from === null ? null : (parseIpAddress(from) as IpAddress),
  };
  const findings = await explain(
    { observer: { rtnetlink, paths, wantsMarks: false, memo: NO_MEMO }, config },
    flow,
  );
  documents.push(documentOf(findings, diagnose(findings)));
}
rtnetlink.close();
process.stdout.write(JSON.stringify(documents));
