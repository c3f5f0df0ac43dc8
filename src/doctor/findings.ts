/** What a check finds: the cause, what speaks for it, and what mends it. */

export const SEVERITIES = ['error', 'warning', 'hint'] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Finding {
  readonly severity: Severity;
  readonly title: string;
  readonly evidence: readonly string[];
  /** To be typed as root, one after the other; none where it is not to be mended on this machine. */
  readonly fix: readonly string[];
}

export interface Verdict {
  readonly findings: readonly Finding[];
  /** Why the check could not be made, or not as a whole; null when it was. */
  readonly unknown: string | null;
}

export function verdict(...findings: readonly Finding[]): Verdict {
  return { findings, unknown: null };
}

export function notChecked(unknown: string): Verdict {
  return { findings: [], unknown };
}
