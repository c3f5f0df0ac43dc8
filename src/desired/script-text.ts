/**
 * What our files for network-scripts have in common. ifup sources ifcfg files as root and evals some values a second time,
 * and hands every line of the route and rule files to `ip` unquoted, so what is written must be readable by the parsers that
 * stand on this (ifcfg, routing-files): they know our own forms alone, with typed and canonical values, and refuse everything
 * else. None of them throws.
 */

export type Parsed<Value> = { readonly value: Value } | { readonly problem: string };

const MAX_UINT32 = 0xffff_ffff;
const COMMENT = '#';
/**
 * A backslash would glue the next line to a comment: ifup reads route files with `read` without -r. What turns the direction of the
 * text around would show people another file than ifup reads.
 */
// oxlint-disable-next-line no-control-regex -- they are what it looks for
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\\]/;
const NUMBER = /^[1-9]\d{0,9}$/;

/** The lines that are neither empty nor a comment. */
export function readLines(text: string): Parsed<readonly string[]> {
  const unsafe = UNSAFE.exec(text);
  if (unsafe !== null) {
    const code = unsafe[0].charCodeAt(0).toString(16).padStart(2, '0');
    return { problem: `character 0x${code} at position ${unsafe.index}` };
  }
  if (!text.endsWith('\n')) return { problem: 'the last line has no end' };
  return { value: text.split('\n').filter((line) => line !== '' && !line.startsWith(COMMENT)) };
}

/** 1 to 2^32 - 1 in canonical decimal. */
export function parseNumber(text: string | undefined): number | undefined {
  if (text === undefined || !NUMBER.test(text)) return undefined;
  const number = Number(text);
  return number <= MAX_UINT32 ? number : undefined;
}
