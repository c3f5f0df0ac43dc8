import fc from 'fast-check';
import { type Cidr, type Family, type IpAddress, ipFromBytes, networkOf } from '../../../src/model/net.ts';

export const u32 = fc.integer({ min: 0, max: 0xffffffff });
export const u8 = fc.integer({ min: 0, max: 255 });
export const linkIndex = fc.integer({ min: 1, max: 0x7fffffff });

export function ipAddress(family: Family): fc.Arbitrary<IpAddress> {
  const length = family === 4 ? 4 : 16;
  return fc.uint8Array({ minLength: length, maxLength: length }).map(ipFromBytes);
}

export function network(family: Family): fc.Arbitrary<Cidr> {
  const prefixLength = fc.integer({ min: 0, max: family === 4 ? 32 : 128 });
  return fc.record({ address: ipAddress(family), prefixLength }).map(networkOf);
}
