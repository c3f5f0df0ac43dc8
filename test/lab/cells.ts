/** What a test asks of a matrix and of the counters. */
import type { PacketCounts, PortCounters } from './fabric.ts';
import type { Matrix } from './lab.ts';

/** The cells that are not ok, as `client > address`. */
export function brokenCells(matrix: Matrix): readonly string[] {
  return Object.entries(matrix).flatMap(([client, row]) =>
    Object.entries(row).flatMap(([address, outcome]) => (outcome === 'ok' ? [] : [`${client} > ${address}`])),
  );
}

/** The addresses in whose name packets came, sorted. */
export function sources(counts: PacketCounts | undefined): readonly string[] {
  return Object.keys(counts ?? {}).toSorted();
}

/** By MAC: in whose names an ENI sent, right and wrong. */
export function sentBy(counters: PortCounters | undefined): {
  own: readonly string[];
  spoofed: readonly string[];
} {
  return { own: sources(counters?.accepted), spoofed: sources(counters?.spoofed) };
}
