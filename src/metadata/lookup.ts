/**
 * Host name → address, given up in time. getaddrinfo(3), which node:http uses, cannot be: behind a name server that is
 * silent it holds its thread, and with it the end of the process, for 10 seconds and more.
 */
import { Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { familyOf, type IpAddress, parseIpAddress } from '../model/net.ts';

/** So many attempts fit into the timeout: with a dead name server before a living one, the second still answers. */
const ATTEMPTS = 3;

export interface LookupOptions {
  /** Of the whole look-up. */
  readonly timeoutMs: number;
  readonly hostsFile?: string;
  /** `address:port`; those of resolv.conf, read anew each time, when not given. */
  readonly servers?: readonly string[];
}

/** Like glibc's `hosts: files dns`: first the hosts file, then the name servers, which are asked for IPv4 alone. */
export function createLookup({
  timeoutMs,
  hostsFile = '/etc/hosts',
  servers,
}: LookupOptions): LookupFunction {
  async function find(hostname: string): Promise<IpAddress | undefined> {
    const hosts = await readFile(hostsFile, 'utf8').catch(() => '');
    return findInHosts(hosts, hostname) ?? (await resolve(hostname));
  }

  async function resolve(hostname: string): Promise<IpAddress | undefined> {
    const resolver = new Resolver({ timeout: Math.ceil(timeoutMs / ATTEMPTS), tries: ATTEMPTS });
    if (servers !== undefined) resolver.setServers(servers);
    const timer = setTimeout(() => resolver.cancel(), timeoutMs);
    const [first = ''] = await resolver.resolve4(hostname).finally(() => clearTimeout(timer));
    return parseIpAddress(first);
  }

  async function answer(hostname: string, callback: Parameters<LookupFunction>[2]): Promise<void> {
    let address: IpAddress | undefined;
    try {
      address = await find(hostname);
    } catch (error) {
      callback(error instanceof Error ? error : new Error(String(error)), '', 4);
      return;
    }
    if (address === undefined) callback(new Error(`${hostname} has no IPv4 address`), '', 4);
    else callback(null, address, familyOf(address));
  }

  return (hostname, _options, callback) => void answer(hostname, callback);
}

/** undefined for what has no IPv4 address, or not in time. Never rejects. */
export function resolveHost(hostname: string, timeoutMs: number): Promise<IpAddress | undefined> {
  return new Promise((resolve) => {
    createLookup({ timeoutMs })(hostname, {}, (_error, address) =>
      resolve(typeof address === 'string' ? parseIpAddress(address) : undefined),
    );
  });
}

/** hosts(5): an address, then its names; `#` begins a comment. */
function findInHosts(hosts: string, hostname: string): IpAddress | undefined {
  const wanted = hostname.toLowerCase();
  for (const line of hosts.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (names.some((name) => name.toLowerCase() === wanted)) return parseIpAddress(address);
  }
  return undefined;
}
