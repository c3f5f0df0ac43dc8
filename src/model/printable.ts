/**
 * Text from outside on its way to people: a terminal obeys control characters, and a log with a forged line lies. These write them as
 * JSON does, so that what came can still be read.
 */

/**
 * All but the newline: C0, DELETE, C1 (U+009B begins an escape sequence by itself), U+2028 and U+2029, at which viewers break the line,
 * and what turns the direction of the text around.
 */
// oxlint-disable-next-line no-control-regex -- they are what it looks for
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Lines stay lines; JSON stays the same JSON. */
export function printable(text: string): string {
  return text.replace(CONTROLS, (character) => `\\u${hex(character)}`);
}

/** The same, on one line. */
export function printableLine(text: string): string {
  return printable(text).replaceAll('\n', '\\n');
}

/** In quotes, so that it can be seen where it begins and ends. */
export function quoted(text: string): string {
  return printable(JSON.stringify(text));
}

function hex(character: string): string {
  return character.charCodeAt(0).toString(16).padStart(4, '0');
}
