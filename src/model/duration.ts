/** Durations as people write them, in the configuration and on the command line. */
const SECOND_MS = 1_000;
const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND_MS,
  m: 60 * SECOND_MS,
  h: 3_600 * SECOND_MS,
};

/** `500ms`, `60s`, `2m`, `1h` → milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  return unit === undefined ? undefined : Number(count) * (UNITS_MS[unit] ?? Number.NaN);
}
