/**
 * Whatever the metadata service does, and whatever happens meanwhile: no address is lost that the last good answer had, no other NIC
 * notices, and the VM is right within one interval and a second after it is over. docs/faults.md has the table; it is made here.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { brokenCells } from '../lab/cells.ts';
import type { Daemon, Status } from '../lab/daemon.ts';
import {
  FAULT_CONFIG,
  FAULTS,
  FEW_FAULTS,
  INTERVAL_MS,
  type MetadataFault,
  NEW_ADDRESS,
  VICTIM_ADDRESSES,
  VICTIM_MAC,
} from '../lab/faults.ts';
import type { Lab } from '../lab/lab.ts';
import type { Monitor } from '../lab/monitor.ts';
import { openLab } from '../lab/open-lab.ts';
import { sized } from '../lab/settled.ts';
import { VM_ADDRESS } from '../lab/topology.ts';
import { bound, until } from '../lab/until.ts';

const DOCUMENT = path.join(import.meta.dirname, '../../docs/faults.md');
/** Set: the document is written instead of compared with. */
const IS_WRITTEN = process.env['ENI_WRITE_DOCS'] === '1';
/** Two intervals and what confirms a removal: an answer that is understood has had its effect by then. */
const HOLD_MS = 2 * INTERVAL_MS + 500;

/** So long after it was done a deletion by hand may be announced. */
const BY_HAND_MS = 500;

const BYSTANDERS: Readonly<Record<string, readonly string[]>> = {
  eth0: [VM_ADDRESS, '10.0.0.5'],
  eth1: ['10.0.1.4', '10.0.1.5'],
};
const OTHERS = Object.values(BYSTANDERS).flat();

interface Stage {
  readonly lab: Lab;
  readonly daemon: Daemon;
}

interface Phase {
  readonly name: string;
  /** eth2 is there before. */
  readonly hasVictim: boolean;
  readonly change: (stage: Stage) => Promise<unknown>;
  /** Addresses of eth2 afterwards; null: it is gone. */
  readonly addresses: readonly string[] | null;
  readonly back: (lab: Lab) => Promise<unknown>;
}

const PHASES: readonly Phase[] = [
  {
    name: 'attach',
    hasVictim: false,
    change: ({ lab }) => lab.attachEni({ addresses: VICTIM_ADDRESSES, mac: VICTIM_MAC }),
    addresses: VICTIM_ADDRESSES,
    back: (lab) => lab.detachEni(VICTIM_MAC),
  },
  {
    name: 'steady',
    hasVictim: true,
    change: ({ lab }) =>
      lab.vm.run('ip', ['addr', 'flush', 'dev', 'eth2', 'to', `${VICTIM_ADDRESSES[1]}/32`]),
    addresses: VICTIM_ADDRESSES,
    // What somebody deletes again and again is left to them, unless the operator says otherwise.
    back: (lab) => lab.vm.agent(['reconfigure']),
  },
  {
    name: 'assign',
    hasVictim: true,
    change: ({ lab }) => lab.assignAddress(VICTIM_MAC, NEW_ADDRESS),
    addresses: [...VICTIM_ADDRESSES, NEW_ADDRESS],
    back: (lab) => lab.unassignAddress(VICTIM_MAC, NEW_ADDRESS),
  },
  {
    name: 'detach',
    hasVictim: true,
    change: ({ lab }) => lab.detachEni(VICTIM_MAC),
    addresses: null,
    back: (lab) => lab.attachEni({ addresses: VICTIM_ADDRESSES, mac: VICTIM_MAC }),
  },
];

interface Cell {
  /** It was right while it lasted. */
  readonly isRightMeanwhile: boolean;
  /** From the end of the fault to the last change in the kernel. */
  readonly lateMs: number;
  /** What the status said meanwhile. */
  readonly says: string | null;
}

test(`${sized('some', 'each')} of the faults × attach, steady state, assign, detach`, {
  timeout: 1_800_000,
}, async () => {
  const faults = sized(FEW_FAULTS, FAULTS);
  const columns = await Promise.all(PHASES.map((phase) => tryAll(phase, faults)));
  const rows = faults.map((fault, index) => ({
    fault,
    cells: columns.map((column) => column[index]).filter((cell) => cell !== undefined),
  }));
  const late = rows.flatMap(({ cells }) => cells.map(({ lateMs }) => lateMs));
  console.log(
    `${late.length} cells, the latest ${Math.round(Math.max(...late))} ms after the end of the fault`,
  );
  await compareWithDocument(rows);
});

async function tryAll(phase: Phase, faults: readonly MetadataFault[]): Promise<readonly Cell[]> {
  const lab = await openLab();
  await lab.assignAddress(lab.primary.mac, '10.0.0.5');
  await lab.attachEni({ addresses: BYSTANDERS['eth1'] ?? [] });
  if (phase.hasVictim) await lab.attachEni({ addresses: VICTIM_ADDRESSES, mac: VICTIM_MAC });
  const daemon = await lab.vm.startDaemon({ config: FAULT_CONFIG });
  const before = phase.hasVictim ? VICTIM_ADDRESSES : null;
  const cells: Cell[] = [];
  for (const fault of faults) {
    await waitUntilRight(daemon, before);
    cells.push(await tryOne({ lab, daemon }, phase, fault));
    await phase.back(lab);
  }
  return cells;
}

async function tryOne(stage: Stage, phase: Phase, fault: MetadataFault): Promise<Cell> {
  const { lab, daemon } = stage;
  const what = `${fault.name}, ${phase.name}`;
  const monitor = await lab.vm.monitor();
  const reload = (): void => daemon.reload();
  await fault.begin(lab, reload);
  await isNoticed(daemon, fault, phase);
  const changedAt = Date.now();
  await phase.change(stage);
  const { isRight: isRightMeanwhile, says } = await hold(daemon, phase.addresses);
  expect(isRightMeanwhile, what).toBe(isRightAnyway(phase, fault));
  expect(brokenCells(await lab.matrix(OTHERS)), what).toEqual([]);
  await fault.end(lab, reload);
  const endedAt = Date.now();
  await waitUntilRight(daemon, phase.addresses);
  const lines = monitor.lines();
  await monitor.stop();
  const lateMs = Math.max(0, ...lines.map(({ at }) => at - endedAt));
  const waitMs = INTERVAL_MS + (fault.retryAfterMs ?? 0);
  expect(lateMs, `${what}: right again`).toBeLessThanOrEqual(waitMs + bound(1_000));
  expect(losses(lines, phase, changedAt), what).toEqual([]);
  return { isRightMeanwhile, lateMs, says };
}

/**
 * What the kernel shows by itself is put right by the last good answer. A NIC of which nothing is known is left as it is; when it is not
 * listed any more, there is nothing to be known.
 */
function isRightAnyway({ name }: Phase, { spoils }: MetadataFault): boolean {
  const phase = { reading: 'steady', NIC: 'detach', nothing: name };
  return phase[spoils] === name;
}

/** The daemon knows of it, also when it began in the middle of a reading. */
async function isNoticed(daemon: Daemon, { spoils }: MetadataFault, { hasVictim }: Phase): Promise<void> {
  const before = daemon.runs();
  await daemon.waitForLog(() => daemon.runs() >= before + 2);
  if (spoils === 'reading') await daemon.waitForStatus(({ reason }) => reason !== null);
  // What an ENI keeps for life is asked for in one reading of six.
  if (spoils === 'NIC' && hasVictim)
    await daemon.waitForStatus(({ interfaces }) =>
      interfaces.some(({ mac, reason }) => mac === VICTIM_MAC && reason !== null),
    );
}

async function hold(
  daemon: Daemon,
  addresses: readonly string[] | null,
): Promise<{ readonly isRight: boolean; readonly says: string | null }> {
  const startedAt = performance.now();
  const seen = await until({
    what: 'it is over',
    read: async () => ({ status: await daemon.status(), ms: performance.now() - startedAt }),
    holds: ({ status, ms }) => ms > HOLD_MS || isRight(status, addresses),
  });
  const victim = seen.status.interfaces.find(({ mac }) => mac === VICTIM_MAC);
  return { isRight: isRight(seen.status, addresses), says: seen.status.reason ?? victim?.reason ?? null };
}

async function waitUntilRight(daemon: Daemon, addresses: readonly string[] | null): Promise<void> {
  await daemon.waitForStatus((status) => status.state === 'in-sync' && isRight(status, addresses));
}

/** Every NIC that is there, with the addresses that it has by now in the cloud. */
function isRight({ interfaces }: Status, victim: readonly string[] | null): boolean {
  const expected = { ...BYSTANDERS, ...(victim === null ? {} : { eth2: victim }) };
  const nics = [...Object.keys(BYSTANDERS), 'eth2'];
  const there = interfaces.filter(({ name, state }) => nics.includes(name ?? '') && state !== 'detached');
  return (
    there.length === Object.keys(expected).length &&
    interfaces.every(({ mac }) => victim !== null || mac !== VICTIM_MAC) &&
    there.every(({ name, state, addresses }) => {
      const configured = addresses
        .filter((entry) => entry.state === 'configured')
        .map(({ address }) => address);
      const wanted = Object.entries(expected).find(([ifname]) => ifname === name)?.[1] ?? [];
      return state === 'in-sync' && configured.toSorted().join() === wanted.toSorted().join();
    })
  );
}

/** Addresses, their rules and the default routes of NICs' tables that went, but for what was taken away by hand or with eth2 itself. */
function losses(lines: ReturnType<Monitor['lines']>, { name }: Phase, changedAt: number): readonly string[] {
  const kept = name === 'detach' ? OTHERS : [...OTHERS, ...VICTIM_ADDRESSES];
  const deleted = lines.filter(({ text }) => /^\[(RULE|ROUTE)\]Deleted/.test(text));
  const lost = deleted.filter(({ text }) =>
    text.startsWith('[ROUTE]')
      ? / default via \S+ dev (eth0|eth1) table/.test(text)
      : kept.some((address) => text.includes(`from ${address} `)),
  );
  const gone = kept.flatMap((address) => absences(lines, address));
  const byHand = ({ text, at }: Line): boolean =>
    name === 'steady' && text.includes(` ${VICTIM_ADDRESSES[1]}/`) && at - changedAt < BY_HAND_MS;
  return [...lost, ...gone].filter((line) => !byHand(line)).map(({ text }) => text);
}

type Line = ReturnType<Monitor['lines']>[number];

/** The messages after which the address was there with no prefix length at all. */
function absences(lines: readonly Line[], address: string): readonly Line[] {
  const there = new Set<string>();
  return lines.filter(({ text }) => {
    const [entry] = new RegExp(` inet ${address.replaceAll('.', '\\.')}/\\d+ `).exec(text) ?? [];
    if (!text.startsWith('[ADDR]') || entry === undefined) return false;
    if (!text.startsWith('[ADDR]Deleted')) {
      there.add(entry);
      return false;
    }
    there.delete(entry);
    return there.size === 0;
  });
}

interface Row {
  readonly fault: MetadataFault;
  readonly cells: readonly Cell[];
}

/** Which of the keys that are asked for at the same time was the first to fail. */
function withoutChance(says: string): string {
  return says
    .replace(/(: |^)(mac|instance-id|network\/\S+): /, '$1KEY: ')
    .replace(/ instead of [^;]+/, ' instead of what is expected')
    .replace(/broke off after \d+ bytes/, 'broke off');
}

function renderRow({ fault, cells }: Row): string {
  const says = withoutChance(cells.find((cell) => cell.says !== null)?.says ?? '');
  const marks = cells.map(({ isRightMeanwhile }) => (isRightMeanwhile ? '✓ meanwhile' : '✓ after'));
  return `| ${[fault.name, fault.spoils, ...marks, says.replaceAll('|', '\\|')].join(' | ')} |`;
}

async function compareWithDocument(rows: readonly Row[]): Promise<void> {
  const document = await readFile(DOCUMENT, 'utf8');
  const rendered = rows.map(renderRow);
  if (!IS_WRITTEN) {
    for (const row of rendered) expect(document.split('\n')).toContain(row);
    for (const { name } of FAULTS) expect(document).toContain(`| ${name} |`);
    return;
  }
  const [head = ''] = document.split(/^\| fault \|/m);
  const header = '| fault | spoils | attach | steady | assign | detach | `status` says |';
  await writeFile(
    DOCUMENT,
    `${[`${head}${header}`, '|---|---|---|---|---|---|---|', ...rendered].join('\n')}\n`,
  );
}
