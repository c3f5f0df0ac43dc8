/**
 * What iptables has of ours, without a process. Its rules cannot be read from a file, but the kernel shows the name of each list
 * that a rule with `-m recent` uses for as long as there is such a rule: a rule that matches nothing makes a list of our name.
 */
import { readdirSync } from 'node:fs';

/** Of the network namespace that we are in. Not there before the first rule that needs it (xt_recent is a module). */
const LISTS = '/proc/net/xt_recent';

export function readListNames(): readonly string[] {
  try {
    return readdirSync(LISTS);
  } catch {
    return [];
  }
}
