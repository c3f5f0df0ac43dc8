/** A container in a VM as docker sets one up: a bridge, a port published by DNAT on every address, masqueraded on its way out. */
import path from 'node:path';
import { inject, onTestFinished } from 'vitest';
import { Actor } from './actor-client.ts';
import type { Lab, Matrix } from './lab.ts';
import { addNamespaces, deleteNamespaces, setUp } from './netns.ts';
import { openLab } from './open-lab.ts';
import { ECHO_PORT, RESPONDER_PORT, SUBNETS, VM_ADDRESS } from './topology.ts';

/** Of the VM; inside it is the responder's. What sends back what it is sent is published under its own port. */
const PUBLISHED_PORT = 8080;

const NAT = `
table inet docker {
  chain prerouting {
    type nat hook prerouting priority -100;
    iifname != "docker0" tcp dport ${PUBLISHED_PORT} fib daddr type local dnat ip to 172.17.0.2:${RESPONDER_PORT}
    iifname != "docker0" tcp dport ${PUBLISHED_PORT} fib daddr type local dnat ip6 to [fd00:17::2]:${RESPONDER_PORT}
    iifname != "docker0" tcp dport ${ECHO_PORT} fib daddr type local dnat ip to 172.17.0.2:${ECHO_PORT}
  }
  chain postrouting {
    type nat hook postrouting priority 100;
    ip saddr 172.17.0.0/16 oifname != "docker0" masquerade
    ip6 saddr fd00:17::/64 oifname != "docker0" masquerade
  }
}
`;

/** Its actor answers until the test ends. */
export async function startContainer({ vm }: Lab): Promise<Actor> {
  const namespace = `${path.basename(vm.namespace)}-container`;
  await addNamespaces([namespace]);
  onTestFinished(() => deleteNamespaces([namespace]));
  await setUp(vm.namespace, {
    sysctls: { 'ipv4/ip_forward': 1, 'ipv6/conf/all/forwarding': 1 },
    ip: [
      'link add docker0 type bridge',
      'link set docker0 up',
      'addr add 172.17.0.1/16 dev docker0',
      'addr add fd00:17::1/64 dev docker0 nodad',
      'link add veth0 type veth peer name veth1',
      'link set veth0 master docker0 up',
      `link set veth1 netns ${namespace} name eth0`,
    ],
    nft: NAT,
  });
  await setUp(namespace, {
    ip: [
      'link set lo up',
      'link set eth0 up',
      'addr add 172.17.0.2/16 dev eth0',
      'addr add fd00:17::2/64 dev eth0 nodad',
      'route add default via 172.17.0.1',
      'route add default via fd00:17::1',
    ],
  });
  const actor = await Actor.start({ name: 'container', namespace, bundle: inject('actorBundle') });
  onTestFinished(async () => {
    await actor.stop();
  });
  await actor.call('respond', { host: 'container', port: RESPONDER_PORT });
  await actor.call('echo', { port: ECHO_PORT });
  return actor;
}

export const PUBLISHED_ADDRESSES = [VM_ADDRESS, '10.0.1.4', '10.0.1.5', '10.0.2.4'];

/** Of eth1; the metadata does not list it. */
export const PUBLISHED_ADDRESS6 = '2001:db8:1::4';

/** With a container and, besides the primary NIC, eth1 and eth2, not configured yet. */
export async function openPublishedLab(): Promise<Lab> {
  const lab = await openLab();
  await startContainer(lab);
  await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5', PUBLISHED_ADDRESS6] });
  await lab.attachEni({ addresses: ['10.0.2.4'] });
  return lab;
}

/** Every client to the published port of every address. */
export async function publishedMatrix(lab: Lab, addresses: readonly string[]): Promise<Matrix> {
  const connect = async (from: string, to: string) => {
    const { outcome, answer } = await lab.connect({ from, to, port: PUBLISHED_PORT });
    return [to, outcome === 'ok' && answer?.host !== 'container' ? 'failed' : outcome] as const;
  };
  const rows = SUBNETS.map(async ({ client: { name } }) => {
    const cells = await Promise.all(addresses.map((to) => connect(name, to)));
    return [name, Object.fromEntries(cells)] as const;
  });
  return Object.fromEntries(await Promise.all(rows));
}
