/** Samples of one quantity, and a table of them. */
import { sized } from '../test/lab/settled.ts';

/** Of everything that is compared: they are taken in turns. */
export const REPEATS = sized(7, 21);

export interface Row {
  readonly what: string;
  readonly unit: 'ms' | 'MiB' | '% of a core' | '';
  readonly median: number;
  /** The quarter below and the quarter above. */
  readonly spread: readonly [number, number];
  /** How often it was taken. */
  readonly samples: number;
  /** The row that it is compared with, and how many times as much it is. */
  readonly against?: { readonly what: string; readonly ratio: number };
}

export function row(what: string, unit: Row['unit'], samples: readonly number[], floor?: Row): Row {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? Number.NaN;
  const median = at(0.5);
  const against = floor === undefined ? {} : { against: { what: floor.what, ratio: median / floor.median } };
  return { what, unit, median, spread: [at(0.25), at(0.75)], samples: samples.length, ...against };
}

/** Markdown, as it is printed and as docs/performance.md has it. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map(({ what, unit, median, spread: [low, high], samples, against }) => {
    const ratio = against === undefined ? '' : `${against.ratio.toFixed(2)} × ${against.what}`;
    const spread = samples === 1 ? '' : `${figure(low)}–${figure(high)}`;
    return `| ${what} | ${`${figure(median)} ${unit}`.trim()} | ${spread} | ${ratio} |`;
  });
  return ['| | median | quartiles | |', '|---|---|---|---|', ...lines].join('\n');
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2);
}
