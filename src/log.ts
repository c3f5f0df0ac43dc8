/** Logs go to stderr: JSON lines for machines, one plain line each on a terminal. The only importer of pino. */
import { type DestinationStream, pino } from 'pino';
import type { LogLevel } from './model/config.ts';

/** A constant message, and fields. */
export type Log = Readonly<
  Record<'debug' | 'info' | 'warn' | 'error', (fields: object, message: string) => void>
>;

export interface LogOptions {
  readonly level: LogLevel;
  /** Where the lines go. */
  readonly stream: NodeJS.WriteStream;
}

export function createLog({ level, stream }: LogOptions): Log {
  const destination: DestinationStream = stream.isTTY
    ? { write: (line) => stream.write(plainLine(line)) }
    : { write: (line) => stream.write(line) };
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
  return `${String(level).padEnd(5)} ${String(msg)}${tail}\n`;
}
