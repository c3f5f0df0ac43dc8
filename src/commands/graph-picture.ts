/** What `graph` draws, whatever the format: boxes in columns, and what goes from which to which. */
import type { NicReport, Report } from './report.ts';
import { wrap } from './wrap.ts';

/** How the world comes in, and how an answer leaves: from the left to the right. */
export const COLUMNS = ['public address', 'address', 'NIC', 'routing table', 'gateway'] as const;

/** Never said by a colour alone: the words are in the box, and each has a border of its own. */
export const TONES = ['fine', 'waiting', 'broken', 'foreign'] as const;
export type Tone = (typeof TONES)[number];

export interface Box {
  /** A letter and digits. */
  readonly id: string;
  /** Of COLUMNS. */
  readonly column: number;
  readonly lines: readonly string[];
  readonly tone: Tone;
}

export interface Arrow {
  readonly from: string;
  readonly to: string;
  readonly tone: Tone;
}

/** A NIC with all that belongs to it: next to each other, apart from the others. */
export interface Group {
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
}

export interface Picture {
  readonly title: string;
  /** What is wrong with the VM as a whole. */
  readonly notices: readonly string[];
  readonly groups: readonly Group[];
}

type AddressReport = NicReport['addresses'][number];
type State = NicReport['state'] | AddressReport['state'];

const TONE_OF: Readonly<Record<State, Tone>> = {
  'in-sync': 'fine',
  configured: 'fine',
  pending: 'waiting',
  missing: 'broken',
  stale: 'broken',
  degraded: 'broken',
  failed: 'broken',
  detached: 'broken',
  unmanaged: 'foreign',
  released: 'foreign',
  'foreign-config': 'foreign',
  excluded: 'foreign',
  foreign: 'foreign',
};

/** Addresses of a NIC that are drawn one by one. */
const MOST_ADDRESSES = 8;
/** Characters of a line in the box of a NIC. */
const REASON_WIDTH = 44;

export function pictureOf(report: Report, isEveryAddressDrawn: boolean): Picture {
  const { state, instanceId, provider, daemon, reason, storageProblem, confirmBy, metadataAgeMs } = report;
  return {
    title: [instanceId ?? 'a VM without an instance id', state, daemon ? 'daemon running' : 'no daemon'].join(
      ', ',
    ),
    notices: [
      ...(metadataAgeMs === null ? [`no good answer of the ${provider} metadata service yet`] : []),
      ...(reason === null ? [] : [`by the last good answer: ${reason}`]),
      ...(storageProblem === null ? [] : [`what the agent remembers: ${storageProblem}`]),
      ...(confirmBy === null
        ? []
        : [`what was changed is rolled back at ${confirmBy} unless it is confirmed`]),
    ],
    groups: report.interfaces.map((nic, index) => groupOf(nic, index, isEveryAddressDrawn)),
  };
}

function groupOf(nic: NicReport, index: number, isEveryAddressDrawn: boolean): Group {
  const tone = TONE_OF[nic.state];
  const nicBox: Box = { id: `n${index}`, column: 2, lines: nicLines(nic), tone };
  const boxes: Box[] = [];
  const arrows: Arrow[] = [];
  const { drawn, folded } = isEveryAddressDrawn ? { drawn: nic.addresses, folded: [] } : fold(nic.addresses);
  for (const [place, entry] of drawn.entries()) {
    const box = addressBox(entry, `a${index}x${place}`);
    if (entry.publicAddress !== null) {
      const id = `p${index}x${place}`;
      boxes.push({ id, column: 0, lines: [entry.publicAddress], tone: 'fine' });
      arrows.push({ from: id, to: box.id, tone: box.tone });
    }
    boxes.push(box);
    arrows.push({ from: box.id, to: nicBox.id, tone: box.tone });
  }
  for (const [place, { state, count }] of folded.entries()) {
    const box = {
      id: `m${index}x${place}`,
      column: 1,
      lines: [`and ${count} more: ${state}`],
      tone: TONE_OF[state],
    };
    boxes.push(box);
    arrows.push({ from: box.id, to: nicBox.id, tone: box.tone });
  }
  boxes.push(nicBox);
  if (nic.table !== null) {
    boxes.push({ id: `t${index}`, column: 3, lines: [`table ${nic.table}`], tone });
    arrows.push({ from: nicBox.id, to: `t${index}`, tone });
  }
  if (nic.gateway !== null) {
    boxes.push({ id: `g${index}`, column: 4, lines: [nic.gateway], tone });
    arrows.push({ from: nic.table === null ? nicBox.id : `t${index}`, to: `g${index}`, tone });
  }
  return { boxes, arrows };
}

function nicLines({ name, mac, role, state, persistence, reason }: NicReport): readonly string[] {
  return [
    name ?? '(no link)',
    mac,
    `${role}, ${state}`,
    ...(role === 'primary' ? [] : [`files: ${persistence}`]),
    ...(reason === null ? [] : wrap(reason, REASON_WIDTH)),
  ];
}

function addressBox({ address, prefixLength, primary, state }: AddressReport, id: string): Box {
  const facts = [...(primary ? ['primary'] : []), ...(state === 'configured' ? [] : [state])];
  return {
    id,
    column: 1,
    lines: [`${address}/${prefixLength}`, ...(facts.length === 0 ? [] : [facts.join(', ')])],
    tone: TONE_OF[state],
  };
}

interface Folded {
  readonly drawn: readonly AddressReport[];
  readonly folded: readonly { readonly state: AddressReport['state']; readonly count: number }[];
}

/** Those that tell something come first: what is wrong, what is public, the primary. In the order of the report. */
function fold(addresses: readonly AddressReport[]): Folded {
  if (addresses.length <= MOST_ADDRESSES + 1) return { drawn: addresses, folded: [] };
  const tells = ({ state, publicAddress, primary }: AddressReport): boolean =>
    state !== 'configured' || publicAddress !== null || primary;
  const byInterest = [...addresses.filter(tells), ...addresses.filter((entry) => !tells(entry))];
  const chosen = new Set(byInterest.slice(0, MOST_ADDRESSES));
  const counts = new Map<AddressReport['state'], number>();
  for (const { state } of byInterest.slice(MOST_ADDRESSES)) counts.set(state, (counts.get(state) ?? 0) + 1);
  return {
    drawn: addresses.filter((entry) => chosen.has(entry)),
    folded: [...counts].map(([state, count]) => ({ state, count })),
  };
}
