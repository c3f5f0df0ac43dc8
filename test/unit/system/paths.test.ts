import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { createPaths } from '../../../src/system/paths.ts';

describe('paths', () => {
  test('of the machine itself are those of the contract', () => {
    const { below, ...paths } = createPaths('/');
    expect(paths).toEqual({
      root: '/',
      config: '/etc/eni-agent/config.yaml',
      connections: '/etc/NetworkManager/system-connections',
      templates: '/etc/eni-agent/templates',
      hooks: '/etc/eni-agent/hooks.d',
      networkScripts: '/etc/sysconfig/network-scripts',
      stateDirectory: '/var/lib/eni-agent',
      state: '/var/lib/eni-agent/state.json',
      previousState: '/var/lib/eni-agent/state.json.previous',
      history: '/var/lib/eni-agent/history.jsonl',
      trial: '/var/lib/eni-agent/trial.json',
      runDirectory: '/run/eni-agent',
      parkedState: '/run/eni-agent/state.json',
      lock: '/run/eni-agent/lock',
      journal: '/run/eni-agent/journal.json',
      wake: '/run/eni-agent/wake',
      control: '/run/eni-agent/control.sock',
      udevControl: '/run/udev/control',
      udevData: '/run/udev/data',
    });
    expect(below('/etc/hosts')).toBe('/etc/hosts');
  });

  test('of another root are all below it', () => {
    const { below, ...paths } = createPaths('/image/');
    expect(paths.root).toBe('/image');
    for (const each of Object.values(paths)) expect(each.startsWith('/image')).toBe(true);
    expect(below('/etc/hosts')).toBe('/image/etc/hosts');
  });

  test('of a relative root do not move with the working directory', () => {
    expect(createPaths('image').lock).toBe(path.join(process.cwd(), 'image/run/eni-agent/lock'));
  });
});
