import { expect, test } from 'vitest';
import { isAssignable, parseIpAddress } from '../../../src/model/net.ts';

test.each([
  ['10.0.1.4', true],
  ['100.64.0.1', true],
  ['203.0.113.9', true],
  ['223.255.255.254', true],
  ['240.0.0.4', true],
  ['255.255.255.254', true],
  ['0.0.0.0', false],
  ['0.1.2.3', false],
  ['127.0.0.1', false],
  ['127.255.0.9', false],
  ['169.254.0.23', false],
  ['224.0.0.1', false],
  ['239.255.255.250', false],
  ['255.255.255.255', false],
  ['2001:db8::4', true],
  ['fd00::4', true],
  ['::', false],
  ['::1', false],
  ['::ffff:10.0.0.1', false],
  ['fe80::1', false],
  ['febf::1', false],
  ['ff02::1', false],
])('a NIC may have %s: %s', (text, expected) => {
  const address = parseIpAddress(text);
  expect(address === undefined ? false : isAssignable(address)).toBe(expected);
});
