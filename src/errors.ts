/**
 * The one error class. A message reads `<doing what> <to what>: <what came back>[; <what to do>]`.
 * Every code has a heading in docs/errors.md (a test keeps them in step).
 */
export const ERROR_CODES = {
  usage: 'never',
  'config-invalid': 'never',
  'config-untrusted': 'never',
  'permission-denied': 'never',
  'metadata-unreachable': 'backoff',
  'metadata-malformed': 'backoff',
  'kernel-refused': 'backoff',
  'answer-lost': 'backoff',
  'kernel-unavailable': 'never',
  'link-gone': 'next-wake',
  'render-failed': 'never',
  'file-failed': 'backoff',
  'state-unreadable': 'never',
  'lock-busy': 'next-wake',
  'change-unconfirmed': 'next-wake',
  'nothing-to-commit': 'never',
  'daemon-running': 'never',
  'daemon-unreachable': 'next-wake',
  'path-too-long': 'never',
  'command-failed': 'backoff',
} as const satisfies Record<string, Retry>;

/** When it is worth trying again: never without a change by somebody, after a growing delay, or when something happens. */
export type Retry = 'never' | 'backoff' | 'next-wake';
export type ErrorCode = keyof typeof ERROR_CODES;

export interface AgentErrorOptions {
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: ErrorCode;
  readonly retry: Retry;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: AgentErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retry = ERROR_CODES[code];
    this.details = options.details ?? {};
  }
}

/** The message of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
