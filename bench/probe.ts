/**
 * Loaded into the daemon ahead of the program (`node --require`): notes when it waits for the metadata service and for the disk, and when a
 * run has verified. At SIGUSR2 it writes what it noted to $ENI_BENCH_PROBE, as JSON (`Noted`), and begins anew.
 */
import fs from 'node:fs';
import http from 'node:http';

/** Milliseconds since the epoch, with a fraction. */
export interface Noted {
  readonly requests: readonly Span[];
  readonly fsyncs: readonly Span[];
  /** When the journal goes: kernel and plan agree by then, and nothing is on the disk yet. */
  readonly verified: readonly number[];
}

export interface Span {
  readonly from: number;
  readonly to: number;
}

const now = (): number => performance.timeOrigin + performance.now();
let noted = { requests: [] as Span[], fsyncs: [] as Span[], verified: [] as number[] };

const { get } = http;
http.get = ((...args: Parameters<typeof get>) => {
  const from = now();
  return get(...args).once('close', () => noted.requests.push({ from, to: now() }));
}) as typeof get;

const { fsync, unlinkSync } = fs;
fs.fsync = ((descriptor: number, done: fs.NoParamCallback) => {
  const from = now();
  fsync(descriptor, (error) => {
    noted.fsyncs.push({ from, to: now() });
    done(error);
  });
}) as typeof fsync;
fs.unlinkSync = (file) => {
  if (String(file).endsWith('/journal.json')) noted.verified.push(now());
  unlinkSync(file);
};

process.on('SIGUSR2', () => {
  const file = process.env['ENI_BENCH_PROBE'];
  if (file === undefined) return;
  fs.writeFileSync(`${file}.new`, JSON.stringify(noted));
  fs.renameSync(`${file}.new`, file);
  noted = { requests: [], fsyncs: [], verified: [] };
});
