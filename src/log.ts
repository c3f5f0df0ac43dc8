/**
 * Logs go to stderr: JSON lines for machines, one plain line each on a terminal, and no control character in either. The only
 * importer of pino.
 */
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
  readonly stream: NodeJS.WriteStream;
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
  const { default: pino } = await loadLogger();
  const destination: DestinationStream = stream.isTTY
    ? { write: (line) => stream.write(plainLine(line)) }
    : { write: (line) => stream.write(printable(line)) };
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

/** `warn  metadata unavailable (problem: …)` */
function plainLine(json: string): string {
  const { level, time: _, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const details = Object.entries(fields).map(([key, value]) => `${key}: ${String(value)}`);
  const tail = details.length === 0 ? '' : ` (${details.join(', ')})`;
  return `${String(level).padEnd(5)} ${printableLine(`${String(msg)}${tail}`)}\n`;
}
