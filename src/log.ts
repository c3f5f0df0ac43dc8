/**
 * Logs go to stderr: JSON lines for machines, one plain line each on a terminal, and no control character in either. In the journal
 * each has its priority. The only importer of pino.
 */
import { fstat } from 'node:fs';
import { promisify } from 'node:util';
import type { DestinationStream } from 'pino';
import { LOG_LEVELS, type LogLevel } from './model/config.ts';
import { printable, printableLine } from './model/printable.ts';

/** A constant message, and fields. */
export type Log = Readonly<
  Record<'debug' | 'info' | 'warn' | 'error', (fields: object, message: string) => void>
>;

export interface LogOptions {
  readonly level: LogLevel;
  /** Where the lines go. */
  readonly stream: NodeJS.WriteStream & { readonly fd?: number };
}

/** pino takes a fifth of a command's start-up, and most commands say nothing: it is loaded with the first message. */
export function createLog(options: LogOptions): Log {
  let logger: Log | undefined;
  let loading: Promise<Log> | undefined;
  const load = async (): Promise<Log> => {
    logger = await createLogger(options);
    return logger;
  };
  const sayAt =
    (level: keyof Log): Log[keyof Log] =>
    (fields, message) => {
      if (LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(options.level)) return;
      if (logger !== undefined) return logger[level](fields, message);
      loading ??= load();
      void loading.then((loaded) => loaded[level](fields, message));
    };
  return { debug: sayAt('debug'), info: sayAt('info'), warn: sayAt('warn'), error: sayAt('error') };
}

/** So that a log needs nothing from the disk any more. */
export function loadLogger() {
  return import('pino');
}

async function createLogger({ level, stream }: LogOptions): Promise<Log> {
  const [{ default: pino }, isInJournal] = await Promise.all([loadLogger(), isJournal(stream)]);
  const toText = stream.isTTY ? plainLine : isInJournal ? prioritised : printable;
  const destination: DestinationStream = { write: (line) => stream.write(toText(line)) };
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const logger = pino(options, destination);
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
  };
}

/** systemd.exec(5), JOURNAL_STREAM: device and inode of the stream that is the journal's. Of a child with another one it is not. */
async function isJournal({ fd }: LogOptions['stream']): Promise<boolean> {
  const journal = process.env['JOURNAL_STREAM'];
  if (journal === undefined || fd === undefined) return false;
  const { dev, ino } = await promisify(fstat)(fd, { bigint: true });
  return journal === `${dev}:${ino}`;
}

/** syslog(3). */
const PRIORITIES: Readonly<Record<string, number>> = { debug: 7, info: 6, warn: 4, error: 3 };

/** sd-daemon(3): the journal takes the prefix for the priority, and keeps the rest. */
function prioritised(json: string): string {
  const [, level = ''] = /^\{"level":"(\w+)"/.exec(json) ?? [];
  return `<${PRIORITIES[level] ?? PRIORITIES['info']}>${printable(json)}`;
}

/** `warn  metadata unavailable (problem: …)` */
function plainLine(json: string): string {
  const { level, time: _, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const details = Object.entries(fields).map(([key, value]) => `${key}: ${String(value)}`);
  const tail = details.length === 0 ? '' : ` (${details.join(', ')})`;
  return `${String(level).padEnd(5)} ${printableLine(`${String(msg)}${tail}`)}\n`;
}
