import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { explainErrno } from '../../../src/kernel/errors.ts';
import type { IfName } from '../../../src/model/net.ts';
import type { StepKind } from '../../../src/model/plan.ts';

const ETH1 = 'eth1' as IfName;

describe('an errno', () => {
  test.each([
    ['add-route', 'ENETUNREACH', 'Network is unreachable; the gateway is in no subnet of eth1'],
    ['add-route', 'EHOSTUNREACH', 'No route to host; the gateway is in no subnet of eth1'],
    ['add-route', 'ENETDOWN', 'Network is down; interface eth1 is down'],
    ['add-route', 'EPERM', 'Operation not permitted; this needs root (CAP_NET_ADMIN)'],
    ['set-link-up', 'ENODEV', 'No such device; interface eth1 is gone'],
    ['remove-route', 'ESRCH', 'No such process; the route is gone already'],
    ['remove-rule', 'ENOENT', 'No such file or directory; the rule is gone already'],
    ['add-address', 'EEXIST', 'File exists; it is there already'],
    ['remove-address', 'EADDRNOTAVAIL', 'Cannot assign requested address; the address is not on eth1'],
    ['set-mtu', 'EINVAL', 'Invalid argument; eth1 does not support this MTU'],
    ['add-rule', 'ENOBUFS', 'No buffer space available; the kernel is short of memory'],
    ['add-rule', 'EINVAL', 'Invalid argument'],
  ] as const satisfies readonly [StepKind, keyof typeof constants.errno, string][])(
    'of %s: %s',
    (kind, name, expected) => {
      expect(explainErrno({ kind, interface: ETH1 }, constants.errno[name])).toBe(expected);
    },
  );

  test('that nobody expected has at least its words, or its number', () => {
    expect(explainErrno({ kind: 'add-rule', interface: ETH1 }, constants.errno.EPIPE)).toBe('broken pipe');
    expect(explainErrno({ kind: 'add-rule', interface: ETH1 }, 999)).toBe('error 999');
  });
});
