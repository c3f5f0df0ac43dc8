/** What an errno of the kernel means for what was asked. */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import type { IfName } from '../model/net.ts';
import type { StepKind } from '../model/plan.ts';

export interface ErrnoContext {
  readonly kind: StepKind;
  readonly interface: IfName;
}

type ErrnoName = keyof typeof TEXTS;
type Meanings = Partial<Record<ErrnoName, string>>;

/** The words of strerror(3), which operators know and search for; Node's are libuv's own. */
const TEXTS = {
  EACCES: 'Permission denied',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  EBUSY: 'Device or resource busy',
  EEXIST: 'File exists',
  EHOSTUNREACH: 'No route to host',
  EINVAL: 'Invalid argument',
  ENETDOWN: 'Network is down',
  ENETUNREACH: 'Network is unreachable',
  ENOBUFS: 'No buffer space available',
  ENODEV: 'No such device',
  ENOENT: 'No such file or directory',
  ENOMEM: 'Cannot allocate memory',
  EOPNOTSUPP: 'Operation not supported',
  EPERM: 'Operation not permitted',
  ESRCH: 'No such process',
  EXDEV: 'Invalid cross-device link',
} as const;

/**
 * The tail of a message: `Network is unreachable; the gateway is in no subnet of eth1`, or the kernel's words alone where
 * there is nothing to add.
 * @param errno positive
 */
export function explainErrno(context: ErrnoContext, errno: number): string {
  const name = errnoName(errno);
  if (name === undefined) return errnoText(errno);
  const meaning = meaningsOf(context)[name] ?? generalMeanings(context)[name];
  return meaning === undefined ? TEXTS[name] : `${TEXTS[name]}; ${meaning}`;
}

/** The kernel's words alone. @param errno positive */
export function errnoText(errno: number): string {
  const name = errnoName(errno);
  return name === undefined ? (getSystemErrorMap().get(-errno)?.[1] ?? `error ${errno}`) : TEXTS[name];
}

function errnoName(errno: number): ErrnoName | undefined {
  return (Object.keys(TEXTS) as ErrnoName[]).find((known) => constants.errno[known] === errno);
}

function generalMeanings({ interface: ifname }: ErrnoContext): Meanings {
  return {
    EPERM: 'this needs root (CAP_NET_ADMIN)',
    ENODEV: `interface ${ifname} is gone`,
    ENETDOWN: `interface ${ifname} is down`,
    EACCES: `IPv6 is switched off on ${ifname} (net.ipv6.conf.${ifname}.disable_ipv6)`,
    EEXIST: 'it is there already',
    ENOBUFS: 'the kernel is short of memory',
    ENOMEM: 'the kernel is short of memory',
    EOPNOTSUPP: 'this kernel, or the driver, cannot do it',
  };
}

/** What only the kind of step tells. */
function meaningsOf({ kind, interface: ifname }: ErrnoContext): Meanings {
  switch (kind) {
    case 'add-route':
      return {
        // Only main says so: in our tables a route takes the place of the one that is there.
        EEXIST:
          'main has another route to that destination; remove it, or take this one out of the configuration',
        ENETUNREACH: `the gateway is in no subnet of ${ifname}`,
        EHOSTUNREACH: `the gateway is in no subnet of ${ifname}`,
        EINVAL: `the gateway is an address of this host, or ${ifname} cannot take such a route`,
      };
    case 'remove-route':
      return { ESRCH: 'the route is gone already' };
    case 'remove-rule':
      return { ENOENT: 'the rule is gone already' };
    case 'remove-address':
      return { EADDRNOTAVAIL: `the address is not on ${ifname}` };
    case 'add-address':
      return {
        EINVAL: `it is no address that an interface can have, or the MTU of ${ifname} is too small for it`,
        EADDRNOTAVAIL: 'it is no address that an interface can have',
      };
    case 'set-mtu':
      return { EINVAL: `${ifname} does not support this MTU` };
    default:
      return {};
  }
}
