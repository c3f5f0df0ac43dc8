import { describe, expect, test } from 'vitest';
import { redactText, redactValue } from '../../../src/doctor/redact.ts';

describe('a text', () => {
  test.each([
    ['PASSWORD=abc', 'PASSWORD=<removed>'],
    ['IEEE_8021X_PRIVATE_KEY_PASSWORD="a b" ', 'IEEE_8021X_PRIVATE_KEY_PASSWORD="<removed>" '],
    ["WPA_PSK='a b'", "WPA_PSK='<removed>'"],
    ['WPA_PSK="a"b', 'WPA_PSK=<removed>'],
    ['WPA_PSK="a" b', 'WPA_PSK=<removed>'],
    ['KEY1=s:abc', 'KEY1=<removed>'],
    ['wep-key0=abc', 'wep-key0=<removed>'],
    ['client-secret: abc', 'client-secret: <removed>'],
    ['{"token":"abc","at":1}', '{"token":"<removed>","at":1}'],
    ['{"text":"{\\"token\\":\\"abc\\"}"}', '{"text":"{\\"token\\":<removed>'],
    ['run --psk abc now', 'run --psk <removed> now'],
    ['GET http://root:abc@10.0.0.1/ failed', 'GET http://<removed>@10.0.0.1/ failed'],
    ['a\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nb', 'a\n<removed>\nb'],
    ['[802-1x]\nidentity=abc\n[ipv4]\nmethod=auto', '[802-1x]\nidentity=<removed>\n[ipv4]\nmethod=auto'],
    ['[wifi-security]\r\npsk=abc', '[wifi-security]\r\npsk=<removed>'],
  ])('%j is %j', (text, expected) => {
    expect(redactText(text)).toBe(expected);
  });

  test.each([
    'IPADDR=10.0.1.4',
    '21001:\tfrom 10.0.1.4 lookup 21001',
    'default via 10.0.1.1 dev eth1',
    'keyfile plugin, a secret that is not said',
  ])('%j stays', (text) => {
    expect(redactText(text)).toBe(text);
  });
});

test('a document keeps its form', () => {
  const document = {
    password: 'abc',
    apiTokens: ['abc'],
    nested: [{ text: 'PSK=abc', count: 1, none: null, isSo: true }],
    'key=abc': 1,
    monkeys: 2,
  };
  expect(redactValue(document)).toEqual({
    password: '<removed>',
    apiTokens: '<removed>',
    nested: [{ text: 'PSK=<removed>', count: 1, none: null, isSo: true }],
    'key=<removed>': '<removed>',
    monkeys: '<removed>',
  });
});
