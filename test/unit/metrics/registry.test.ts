import { describe, expect, test } from 'vitest';
import { createMetrics, type PresentFacts } from '../../../src/metrics/registry.ts';
import type { IfName } from '../../../src/model/net.ts';
import { makeStep } from '../../../src/plan/step.ts';
import { connectedRoute, ip, macOf } from '../builders.ts';
import { documentedMetrics, PRESENT, RUN } from './facts.ts';

const NIC = 'interface="eth1",mac="02:00:00:00:00:02"';

async function linesOf(
  events: (metrics: ReturnType<typeof createMetrics>) => void,
  present: PresentFacts | null = PRESENT,
): Promise<readonly string[]> {
  const metrics = createMetrics('1.2.3');
  events(metrics);
  return (await metrics.render(present)).text.split('\n');
}

describe('runs', () => {
  test('are counted by what rang and what came of them; what alerts look at begins with 0', async () => {
    const lines = await linesOf((metrics) => {
      metrics.ran('timer', { ...RUN, outcome: 'in-sync' });
      metrics.ran('timer', { ...RUN, outcome: 'in-sync' });
      metrics.ran('link', null);
    });
    expect(lines).toContain('eni_agent_runs_total{trigger="timer",outcome="in-sync"} 2');
    expect(lines).toContain('eni_agent_runs_total{trigger="link",outcome="failed"} 1');
    expect(lines).toContain('eni_agent_runs_total{trigger="kernel",outcome="rolled-back"} 0');
    expect(lines).toContain('eni_agent_step_failures_total{kind="add-route"} 0');
    expect(lines).toContain('eni_agent_reconcile_duration_seconds_count 2');
    expect(lines).toContain('eni_agent_reconcile_duration_seconds_bucket{le="0.005"} 2');
  });

  test('that the kernel rang for repair what drifted, others do not; a step that failed has its kind', async () => {
    const problems = [
      { mac: macOf(2), message: 'refused', stepKind: 'add-route' as const },
      { mac: macOf(3), message: 'of the plan' },
    ];
    const lines = await linesOf((metrics) => {
      metrics.ran('kernel', { ...RUN, outcome: 'applied' });
      metrics.ran('metadata', { ...RUN, outcome: 'degraded', problems });
    });
    expect(lines).toContain('eni_agent_drift_repairs_total 1');
    expect(lines).toContain('eni_agent_step_failures_total{kind="add-route"} 1');
  });

  test('a throw that follows what main routes is no repair', async () => {
    const nic = { mac: macOf(2), ifname: 'eth1' as IfName };
    const route = connectedRoute({ index: 3 }, { address: ip('172.17.0.1'), prefixLength: 16 });
    const steps = [
      makeStep('add-route', nic, { ...route, type: 'throw' as const }, 'main knows the way'),
      makeStep('remove-route', nic, { ...route, type: 'throw' as const }, 'nothing needs it'),
      makeStep('add-route', nic, { ...route, type: 'unicast' as const }, 'its subnet, missing'),
    ];
    const lines = await linesOf((metrics) => metrics.ran('kernel', { ...RUN, steps }));
    expect(lines).toContain('eni_agent_drift_repairs_total 1');
  });

  test.each([
    ['applied', true],
    ['in-sync', true],
    ['degraded', false],
    ['rolled-back', false],
    ['failed', false],
  ] as const)('that end %s are a success: %s', async (outcome, isSuccess) => {
    const before = Date.now() / 1_000;
    const lines = await linesOf((metrics) => metrics.ran('timer', { ...RUN, outcome }));
    const line = lines.find((each) => each.startsWith('eni_agent_last_success_timestamp_seconds '));
    expect(line !== undefined).toBe(isSuccess);
    if (isSuccess) expect(Number(line?.split(' ')[1])).toBeGreaterThanOrEqual(before);
  });
});

describe('what is now', () => {
  test('is one state of each NIC, and its addresses', async () => {
    const lines = await linesOf(() => {});
    expect(lines.filter((line) => line.startsWith(`eni_agent_interface_state{${NIC}`)).toSorted()).toEqual(
      [
        'degraded 0',
        'detached 0',
        'failed 0',
        'foreign-config 0',
        'in-sync 0',
        'pending 1',
        'released 0',
        'unmanaged 0',
      ].map((text) => {
        const [state, value] = text.split(' ');
        return `eni_agent_interface_state{${NIC},state="${state}"} ${value}`;
      }),
    );
    expect(lines).toContain(`eni_agent_interface_addresses_desired{${NIC}} 3`);
    expect(lines).toContain(`eni_agent_interface_addresses_configured{${NIC}} 2`);
    expect(lines).toContain(`eni_agent_interface_addresses_foreign{${NIC}} 1`);
    expect(lines).toContain('eni_agent_metadata_up 1');
    expect(lines).toContain('eni_agent_fights 0');
  });

  test('has nothing of a NIC that is gone, and nothing at all when it cannot be told', async () => {
    const metrics = createMetrics('1.2.3');
    expect((await metrics.render(PRESENT)).text).toContain(NIC);
    expect((await metrics.render({ ...PRESENT, interfaces: [] })).text).not.toContain(NIC);
    expect((await metrics.render(PRESENT)).text).toContain(NIC);
    const untold = (await metrics.render(null)).text;
    expect(untold).not.toMatch(/^eni_agent_(interface|metadata_up|fights)/m);
    expect(untold).toMatch(/^eni_agent_build_info\{version="1\.2\.3",node="\d+\.\d+\.\d+"\} 1$/m);
  });

  test.each([
    [null, undefined],
    [true, '1'],
    [false, '0'],
  ])('says of a metadata service that answers (%s): %s', async (isMetadataUp, value) => {
    const lines = await linesOf(() => {}, { ...PRESENT, isMetadataUp });
    expect(lines.find((line) => line.startsWith('eni_agent_metadata_up '))?.split(' ')[1]).toBe(value);
  });

  test('has eleven series for each NIC, however many addresses that has, and no more than two hundred beside', async () => {
    const seriesOf = async (nics: number, addresses: number): Promise<number> => {
      const interfaces = Array.from({ length: nics }, (_, n) => ({
        name: `eth${n}`,
        mac: `m${n}`,
        state: 'in-sync' as const,
        addresses: Array.from({ length: addresses }, () => ({ state: 'configured' })),
      }));
      const events = (metrics: ReturnType<typeof createMetrics>): void => {
        for (const part of ['request', 'reading'] as const)
          for (const result of ['success', 'failure'] as const) metrics.asked(part, result, 1);
        metrics.ran('link', RUN);
      };
      const lines = await linesOf(events, { ...PRESENT, interfaces });
      return lines.filter((line) => /^[a-z]/.test(line)).length;
    };
    const beside = await seriesOf(0, 0);
    expect(beside).toBeLessThan(200);
    expect(await seriesOf(128, 256)).toBe(beside + 11 * 128);
  });

  test('has at most 256 NICs', async () => {
    const [nic] = PRESENT.interfaces;
    const interfaces = Array.from({ length: 300 }, (_, n) => ({
      name: `eth${n}`,
      mac: `m${n}`,
      state: 'in-sync' as const,
      addresses: nic?.addresses ?? [],
    }));
    const lines = await linesOf(() => {}, { ...PRESENT, interfaces });
    expect(lines.filter((line) => line.startsWith('eni_agent_interface_addresses_desired{'))).toHaveLength(
      256,
    );
  });
});

test('the start is that of the process', async () => {
  const lines = await linesOf(() => {});
  const started = lines.find((line) => line.startsWith('eni_agent_start_time_seconds '))?.split(' ')[1];
  expect(Math.abs(Number(started) - (Date.now() / 1_000 - process.uptime()))).toBeLessThan(5);
});

test('docs/monitoring.md has every metric with its type, and no other', async () => {
  const lines = await linesOf(() => {});
  const types = lines.flatMap((line) => {
    const [, name = '', type = ''] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    return name === '' ? [] : [[name, type]];
  });
  expect(types.length).toBeGreaterThan(10);
  expect(Object.fromEntries(await documentedMetrics())).toEqual(Object.fromEntries(types));
});
