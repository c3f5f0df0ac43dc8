/** Traffic between a VM and everybody around it, as a table: who asks is a row, who is asked a column. */
import type { Lab } from './lab.ts';
import type { ProbeRequest } from './protocol.ts';

type Protocol = ProbeRequest['protocol'];

/** One question. */
interface Flow {
  readonly from: string;
  /** The machine that must answer, and the address that is asked. */
  readonly host: string;
  readonly to: string;
  readonly source?: string;
  readonly port?: number;
  readonly protocol: Protocol;
}

export interface Cell {
  readonly family: 4 | 6;
  readonly row: string;
  readonly column: string;
  readonly flows: readonly Flow[];
  /** The NIC that has the VM's address in it; null where the kernel chooses one. */
  readonly nic: string | null;
  /** The NIC by which the VM's main table sends to the other end; null when that is beyond a bridge, beyond a tunnel, or the VM itself. */
  readonly way: string | null;
  /** The other end asks from the NIC's own subnet. */
  readonly isNear: boolean;
}

/** What answers whatever the machine has to do besides. */
const PATIENT_MS = 5_000;
/** For what is expected to fail: it is known from the other runs how fast it would have answered. */
const IMPATIENT_MS = 700;

/** Whether a question of a cell must fail. */
export type Fails = (cell: Cell, protocol: Protocol) => boolean;

/**
 * Asks everything, and returns what came out otherwise than it must. What must fail comes last: while the kernel asks for a neighbour in
 * a wrong name, which the fabric drops, others wait behind it.
 */
export async function surprises(lab: Lab, cells: readonly Cell[], fails: Fails): Promise<readonly string[]> {
  await lab.answerUdp();
  const all = cells.flatMap((cell) =>
    cell.flows.map((flow) => ({ cell, flow, mustFail: fails(cell, flow.protocol) })),
  );
  const [good, bad] = [false, true].map((which) => all.filter(({ mustFail }) => mustFail === which));
  return [...(await askAll(lab, good ?? [])), ...(await askAll(lab, bad ?? []))];
}

interface Question {
  readonly cell: Cell;
  readonly flow: Flow;
  readonly mustFail: boolean;
}

/** All at once. */
async function askAll(lab: Lab, questions: readonly Question[]): Promise<readonly string[]> {
  const answers = questions.map(async ({ cell, flow: { host, ...flow }, mustFail }) => {
    const timeoutMs = mustFail ? IMPATIENT_MS : PATIENT_MS;
    const { outcome, answer, detail = '' } = await lab.probe({ ...flow, timeoutMs });
    // A ping does not say who answered.
    const isRight = outcome === 'ok' && (answer === undefined || answer.host === host);
    if (isRight !== mustFail) return [];
    const seen = `${outcome} ${answer?.host ?? detail}`.trim();
    return [`${cell.row} > ${cell.column}: ${flow.protocol} to ${flow.to}: ${seen}`];
  });
  return (await Promise.all(answers)).flat();
}

/** A Markdown table; a cell that nobody asked for is empty. */
export function renderTable(corner: string, cells: readonly Cell[], textOf: (cell: Cell) => string): string {
  const columns = [...new Set(cells.map(({ column }) => column))];
  const rows = [...new Set(cells.map(({ row }) => row))];
  const at = (row: string, column: string): string => {
    const cell = cells.find((one) => one.row === row && one.column === column);
    return cell === undefined ? '' : textOf(cell);
  };
  const line = (texts: readonly string[]): string => `| ${texts.join(' | ')} |`;
  return [
    line([corner, ...columns]),
    line(['---', ...columns.map(() => '---')]),
    ...rows.map((row) => line([row, ...columns.map((column) => at(row, column))])),
  ].join('\n');
}
