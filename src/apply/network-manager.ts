/**
 * A running NetworkManager, asked over D-Bus (docs/decisions/0019). By busctl: it takes a fifth of nmcli's time, and nmcli has no word for
 * "keep what others have added".
 */
import { access } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { AgentError, errorMessage } from '../errors.ts';
import type { IfName } from '../model/net.ts';
import type { Paths } from '../system/paths.ts';
import { run } from '../system/run.ts';

const SOCKET = '/run/dbus/system_bus_socket';
const RUN_DIRECTORY = '/run/NetworkManager';
const SERVICE = 'org.freedesktop.NetworkManager';
const MANAGER = '/org/freedesktop/NetworkManager';
const SETTINGS = `${MANAGER}/Settings`;
/** A call takes 7 ms. */
const CALL_TIMEOUT_MS = 5_000;
/** A new link is seen and set up within 10 ms. One that is unmanaged, or has no carrier, is not waited for any longer. */
const NOTICE_MS = 500;
/** An activation takes 10 ms; on a busy machine the calls themselves take most of the time. */
const ACTIVATION_MS = 3_000;
const POLL_MS = 10;
/** NMDeviceState. */
const DISCONNECTED = 30;
const ACTIVATED = 100;
/** NM_DEVICE_REAPPLY_FLAGS_PRESERVE_EXTERNAL_IP, since 1.42: others' addresses and routes stay. */
const PRESERVE_EXTERNAL_IP = '1';

export interface NetworkManager {
  /** It reads these files again, and forgets those that are gone. Returns those that it refuses. */
  load(files: readonly string[]): Promise<readonly string[]>;
  /**
   * Has a link that is not configured brought up by its profile, instead of one that NetworkManager makes up. Any other would lose its
   * addresses for a moment. Whether it is done; where NetworkManager has no say, or the link no carrier, it is given up after half a second.
   */
  activate(ifname: IfName, file: string): Promise<boolean>;
  /** What is active by this file becomes what is in it now; before 1.42 it stays what it was. Takes nothing away that others have added. */
  reapply(ifname: IfName, file: string): Promise<void>;
  /** The file of the profile that is active on the link; null without one. */
  activeFile(ifname: IfName): Promise<string | null>;
}

/** null when it does not run: it will read all files when it starts. AgentError `command-failed`. */
export async function findNetworkManager(paths: Paths): Promise<NetworkManager | null> {
  if (!(await isThere(paths.below(SOCKET))) || !(await hasBeenStarted(paths))) return null;
  const bus = createBus(paths.below(SOCKET));
  const owner = ['org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus', 'NameHasOwner'];
  if ((await bus(['call', ...owner, 's', SERVICE])) !== 'b true') return null;
  return {
    load: async (files) => {
      const method = [SERVICE, SETTINGS, `${SERVICE}.Settings`, 'LoadConnections'];
      return strings(await bus(['call', ...method, 'as', String(files.length), ...files]));
    },
    activate: (ifname, file) => activate(bus, ifname, file),
    reapply: (ifname, file) => reapply(bus, ifname, file),
    activeFile: async (ifname) => (await readDevice(bus, ifname)).file,
  };
}

/** Since the machine was. */
export function hasBeenStarted(paths: Paths): Promise<boolean> {
  return isThere(paths.below(RUN_DIRECTORY));
}

async function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

type Bus = (args: readonly string[]) => Promise<string>;

function createBus(socket: string): Bus {
  return async (args) => {
    const options = [`--address=unix:path=${socket}`, '--auto-start=no'];
    const { exitCode, stdout, stderr } = await run('busctl', [...options, ...args], {
      timeoutMs: CALL_TIMEOUT_MS,
    });
    if (exitCode === 0) return stdout;
    const cameBack = stderr.trim() === '' ? `exit code ${exitCode}` : stderr.trim();
    throw new AgentError(
      'command-failed',
      `asking NetworkManager for ${args.slice(3, 5).join(' ')}: ${cameBack}`,
    );
  };
}

interface Device {
  readonly path: string;
  readonly state: number;
  /** The file of its active profile; null without one. */
  readonly file: string | null;
}

async function activate(bus: Bus, ifname: IfName, file: string): Promise<boolean> {
  const startedAt = performance.now();
  let isAsked = false;
  for (;;) {
    // It may not have seen the link yet.
    const device = await readDevice(bus, ifname).catch(() => null);
    if (device?.file === file && device.state === ACTIVATED) return true;
    if (device !== null && device.file !== file && device.state >= DISCONNECTED && !isAsked) {
      isAsked = true;
      const connection = await findConnection(bus, file);
      if (connection === null) return false;
      const method = ['call', SERVICE, MANAGER, SERVICE, 'ActivateConnection', 'ooo'];
      await bus([...method, connection, device.path, '/']);
    }
    const limit = device !== null && device.state >= DISCONNECTED ? ACTIVATION_MS : NOTICE_MS;
    if (performance.now() - startedAt >= limit) return false;
    await delay(POLL_MS);
  }
}

async function reapply(bus: Bus, ifname: IfName, file: string): Promise<void> {
  const device = await readDevice(bus, ifname).catch(() => null);
  if (device?.file !== file || device.state !== ACTIVATED) return;
  const method = [SERVICE, device.path, `${SERVICE}.Device`, 'Reapply'];
  const asStored = ['a{sa{sv}}tu', '0', '0', PRESERVE_EXTERNAL_IP];
  await bus(['call', ...method, ...asStored]).catch(async (error: unknown) => {
    const isGone = (await readDevice(bus, ifname).catch(() => null))?.path !== device.path;
    if (!isGone && !isUnknownFlag(error)) throw error;
  });
}

function isUnknownFlag(error: unknown): boolean {
  return errorMessage(error).toLowerCase().includes('flags');
}

async function readDevice(bus: Bus, ifname: IfName): Promise<Device> {
  const path = first(await bus(['call', SERVICE, MANAGER, SERVICE, 'GetDeviceByIpIface', 's', ifname]));
  const properties = await bus([
    'get-property',
    SERVICE,
    path,
    `${SERVICE}.Device`,
    'State',
    'ActiveConnection',
  ]);
  const state = Number(/^u (\d+)$/m.exec(properties)?.[1]);
  const active = first(properties);
  if (active === '/') return { path, state, file: null };
  const connection = first(await property(bus, active, 'Connection.Active', 'Connection'));
  return { path, state, file: await fileOf(bus, connection) };
}

/** The last one is the newest. */
async function findConnection(bus: Bus, file: string): Promise<string | null> {
  const all = strings(await bus(['call', SERVICE, SETTINGS, `${SERVICE}.Settings`, 'ListConnections']));
  for (const path of all.toReversed()) if ((await fileOf(bus, path)) === file) return path;
  return null;
}

async function fileOf(bus: Bus, connection: string): Promise<string> {
  return first(await property(bus, connection, 'Settings.Connection', 'Filename'));
}

function property(bus: Bus, path: string, type: string, name: string): Promise<string> {
  return bus(['get-property', SERVICE, path, `${SERVICE}.${type}`, name]);
}

/** It ended while it was asked: it reads all files when it starts again. */
export function isManagerGone(error: unknown): boolean {
  return /disconnected from message bus|not provided by any|not activatable/.test(errorMessage(error));
}

/** busctl writes `o "/org/…"`, `bas false 1 "/etc/…"`. */
function strings(text: string): readonly string[] {
  return [...text.matchAll(/"([^"]*)"/g)].map(([, value = '']) => value);
}

function first(text: string): string {
  return strings(text)[0] ?? '';
}
