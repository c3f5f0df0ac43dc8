/** The daemon's metrics: where they are served, what they say, and that they cost nothing unless somebody wants them. */
import { readdir, stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openLab } from '../lab/open-lab.ts';
import { EVERY_SECOND, inSync, waitForAddresses } from '../lab/settled.ts';
import { getFromSocket, type SocketAnswer } from '../lab/socket-http.ts';
import { until } from '../lab/until.ts';
import type { Vm } from '../lab/vm.ts';

const LISTEN = '127.0.0.1:9101';
const FILE = '/prom/eni-agent.prom';
const SERVED = 'metrics are served';

/** '' while nobody answers. */
async function scrape(vm: Vm, where = LISTEN): Promise<string> {
  const script = `fetch('http://${where}/metrics').then(async (r) => process.stdout.write(await r.text()), () => {})`;
  return (await vm.run(process.execPath, ['-e', script])).stdout;
}

function askDaemon(vm: Vm): Promise<SocketAnswer> {
  return getFromSocket(vm.path('/run/eni-agent/control.sock'), '/metrics');
}

function waitForMetric(read: () => Promise<string>, pattern: RegExp): Promise<string> {
  return until({ what: `there is ${pattern}`, read, holds: (page) => pattern.test(page) });
}

test('NICs, runs, repairs and the metadata service are told at an address and in a file', async () => {
  const lab = await openLab();
  const { vm } = lab;
  await vm.run('mkdir', [vm.path('/prom')]);
  const config = `${EVERY_SECOND}metrics: { listen: '${LISTEN}', textfile: ${FILE} }\n`;
  const daemon = await vm.startDaemon({ config });
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4', '10.0.1.5'] });
  await daemon.waitForStatus(inSync(mac));
  const page = await scrape(vm);
  const labels = `interface="eth1",mac="${mac}"`;
  expect(page).toContain(`eni_agent_interface_state{${labels},state="in-sync"} 1\n`);
  expect(page).toContain(`eni_agent_interface_addresses_configured{${labels}} 2\n`);
  expect(page).toMatch(/^eni_agent_runs_total\{trigger="\w+",outcome="applied"\} [1-9]/m);
  expect(page).toMatch(/^eni_agent_metadata_request_duration_seconds_count\{result="success"\} [1-9]/m);
  expect(page).toMatch(/^eni_agent_metadata_reading_duration_seconds_count\{result="success"\} [1-9]/m);
  expect(page).toMatch(/^eni_agent_metadata_up 1$/m);
  // The clock may ring at the same moment, and be the first.
  const drift = async (): Promise<string> => {
    await vm.tryRun('ip', ['address', 'del', '10.0.1.5/24', 'dev', 'eth1']);
    return scrape(vm);
  };
  await waitForMetric(drift, /^eni_agent_drift_repairs_total [1-9]/m);

  const routes = 'interfaces: [{ match: { name: eth1 }, routes: [{ to: 172.20.0.0/16, via: 10.9.9.9 }] }]\n';
  await vm.writeConfig(`${config}${routes}`);
  const failed = await waitForMetric(
    () => scrape(vm),
    /^eni_agent_step_failures_total\{kind="add-route"\} [1-9]/m,
  );
  expect(failed).toContain(`eni_agent_interface_state{${labels},state="in-sync"} 0\n`);
  await vm.writeConfig(config);

  await lab.metadata.down();
  const down = await waitForMetric(() => vm.readFile(FILE), /^eni_agent_metadata_up 0$/m);
  expect(down).toMatch(/^eni_agent_metadata_reading_duration_seconds_count\{result="failure"\} [1-9]/m);
  expect(down).toMatch(/^eni_agent_metadata_request_duration_seconds_count\{result="failure"\} [1-9]/m);
  await lab.metadata.up();
  await lab.detachEni(mac);
  await until({
    what: 'the NIC is gone',
    read: () => scrape(vm),
    holds: (now) => now !== '' && !now.includes(mac),
  });
  await until({
    what: 'from the file, too',
    read: () => vm.readFile(FILE),
    holds: (now) => !now.includes(mac),
  });
  expect((await stat(vm.path(FILE))).mode & 0o777).toBe(0o644);

  await vm.writeConfig(EVERY_SECOND);
  await until({ what: 'nothing is served any more', read: () => scrape(vm), holds: (now) => now === '' });
  expect((await daemon.stop()).exitCode).toBe(0);
  expect(await readdir(vm.path('/prom'))).toEqual(['eni-agent.prom']);
});

test('an address that is taken or not here yet, and a file that cannot be written, are said once and tried again', async () => {
  const lab = await openLab();
  const { vm } = lab;
  const other = vm.start({
    name: 'other',
    command: [process.execPath, '-e', "require('http').createServer().listen(9101, '127.0.0.1')"],
  });
  await until({
    what: 'somebody else listens',
    read: async () => (await vm.run('ss', ['-Hltn'])).stdout,
    holds: (sockets) => sockets.includes(LISTEN),
  });
  const config = `${EVERY_SECOND}metrics: { listen: '${LISTEN}', textfile: ${FILE} }\n`;
  const daemon = await vm.startDaemon({ config });
  await daemon.waitForStatus(inSync());
  const runs = daemon.runs();
  await until({ what: 'two more runs', read: () => daemon.runs(), holds: (now) => now >= runs + 2 });
  const said = daemon.log().filter(({ msg }) => msg.startsWith('metrics are not'));
  expect(said).toHaveLength(2);
  expect(said).toContainEqual(
    expect.objectContaining({ listen: LISTEN, problem: expect.stringContaining('EADDRINUSE') }),
  );
  expect(said).toContainEqual(
    expect.objectContaining({ problem: expect.stringMatching(/^writing \S+: ENOENT/) }),
  );
  await other.end('SIGTERM');
  await daemon.waitForLog((log) => log.some(({ msg }) => msg === SERVED));
  await vm.run('mkdir', [vm.path('/prom')]);
  await waitForMetric(() => vm.readFile(FILE).catch(() => ''), /^eni_agent_build_info/m);

  await vm.writeConfig(`${EVERY_SECOND}metrics: { listen: '10.0.1.4:9101' }\n`);
  await daemon.waitForLog((log) => log.some(({ problem }) => String(problem).includes('EADDRNOTAVAIL')));
  const { mac } = await lab.attachEni({ addresses: ['10.0.1.4'] });
  await waitForAddresses(vm, 'eth1', ['10.0.1.4']);
  await waitForMetric(() => scrape(vm, '10.0.1.4:9101'), new RegExp(`mac="${mac}",state="in-sync"} 1`));
});

test('nothing is loaded for it until the control socket is asked', async () => {
  const lab = await openLab();
  const { vm } = lab;
  const daemon = await vm.startDaemon({ config: EVERY_SECOND, strace: 'trace=openat' });
  await daemon.waitForStatus(inSync());
  const isLoaded = async (): Promise<boolean> => /chunks\/registry-\w+\.js/.test(await daemon.strace());
  expect(await isLoaded()).toBe(false);
  const { status, type, body } = await askDaemon(vm);
  expect({ status, type }).toEqual({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' });
  expect(body).toMatch(/^eni_agent_interface_state\{interface="eth0",mac="[0-9a-f:]+",state="in-sync"\} 1$/m);
  expect(await isLoaded()).toBe(true);
  await waitForMetric(async () => (await askDaemon(vm)).body, /^eni_agent_runs_total\{.*\} [1-9]/m);
  expect((await vm.run('ss', ['-Hltn'])).stdout).not.toContain(':9101');
});
