/** A container whose port is published on every address of a VM, and who asks it. */
import { brokenCells } from './cells.ts';
import type { Lab, Matrix } from './lab.ts';
import { openLab } from './open-lab.ts';
import { addContainer, PUBLISHED_PORT } from './surroundings.ts';
import { CLIENT_SUBNETS, VM_ADDRESS } from './topology.ts';
import { until } from './until.ts';

export const PUBLISHED_ADDRESSES = [VM_ADDRESS, '10.0.1.4', '10.0.1.5', '10.0.2.4'];

/** Of eth1; the metadata does not list it. */
export const PUBLISHED_ADDRESS6 = '2001:db8:1::4';

/** With a container and, besides the primary NIC, eth1 and eth2, not configured yet. */
export async function openPublishedLab(): Promise<Lab> {
  const lab = await openLab();
  await addContainer(lab);
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
  const rows = CLIENT_SUBNETS.map(async ({ client: { name } }) => {
    const cells = await Promise.all(addresses.map((to) => connect(name, to)));
    return [name, Object.fromEntries(cells)] as const;
  });
  return Object.fromEntries(await Promise.all(rows));
}

/** The kernel takes up to a second to tell of a carrier (linkwatch), and a busy machine longer to answer. */
export async function untilAllAnswer(lab: Lab, addresses: readonly string[]): Promise<void> {
  await until({
    what: 'the published port answers everybody at each address',
    read: async () => brokenCells(await publishedMatrix(lab, addresses)),
    holds: (broken) => broken.length === 0,
  });
}
