/** Takes out of a text whatever looks like a secret, rather too much than too little: who reads a bundle needs none. */

const REMOVED = '<removed>';

const WORDS = 'password|passwd|passphrase|psk|secret|token|credential|authorization|key';
/** Of an object. `key` alone would take `keys` and `monkey`, too. */
const SECRET_NAME = new RegExp(`(?:${WORDS})s?$|^(?:${WORDS})`, 'i');
/** `WPA_PSK='…'`, `"token":"…"`, `password: …`, also where the quotes are escaped; a value without quotes ends with the line. */
const ASSIGNMENT = new RegExp(
  `((?:${WORDS})[\\w.-]*\\\\*["']?[ \\t]*[=:][ \\t]*)(?:(")(?:[^"\\\\]|\\\\.)*"(?=[ \\t\\r]*(?:[,}\\]]|$))|(')[^']*'(?=[ \\t\\r]*(?:[,}\\]]|$))|.*)`,
  'gim',
);
const OPTION = new RegExp(`(--[\\w-]*(?:${WORDS})[ \\t]+)\\S+`, 'gi');
const IN_URL = /(:\/\/)[^\s/@]+@/g;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;
/** Of a keyfile of NetworkManager: nothing in them is of use for what the agent does. */
const SECRET_SECTIONS =
  /^\[(?:802-1x|wifi-security|802-11-wireless-security|vpn-secrets|wireguard.*|pppoe|gsm|cdma|macsec)\]/;

export function redactText(text: string): string {
  return withoutSections(text.replaceAll(PRIVATE_KEY, REMOVED))
    .replaceAll(ASSIGNMENT, (_, name: string, double = '', single = '') => {
      const quote = `${double}${single}`;
      return `${name}${quote}${REMOVED}${quote}`;
    })
    .replaceAll(OPTION, `$1${REMOVED}`)
    .replaceAll(IN_URL, `$1${REMOVED}@`);
}

function withoutSections(text: string): string {
  let isSecret = false;
  const lines = text.split('\n').map((line) => {
    if (line.startsWith('[')) {
      isSecret = SECRET_SECTIONS.test(line);
      return line;
    }
    return isSecret ? line.replace(/=.*/, `=${REMOVED}`) : line;
  });
  return lines.join('\n');
}

/** Of anything that JSON can say. */
export function redactValue(value: unknown): unknown {
  if (typeof value === 'string') return redactText(value);
  if (Array.isArray(value)) return value.map(redactValue);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, entry]) => [
    redactText(name),
    SECRET_NAME.test(name) ? REMOVED : redactValue(entry),
  ]);
  return Object.fromEntries(entries) as unknown;
}
