/** `graph`: what `status` says, as a picture. */
import type { Environment } from './context.ts';
import { EXIT, type ExitCode } from './exit-codes.ts';
import { type Picture, pictureOf } from './graph-picture.ts';
import { toSvg } from './graph-svg.ts';
import { toDot, toMermaid } from './graph-text.ts';
import { withReport } from './with-report.ts';

export interface GraphOptions {
  readonly format: 'svg' | 'mermaid' | 'dot';
  /** Every address, however many there are. */
  readonly all?: boolean;
}

const DRAW: Readonly<Record<GraphOptions['format'], (picture: Picture) => string>> = {
  svg: toSvg,
  mermaid: toMermaid,
  dot: toDot,
};

/** A VM that is degraded is drawn as well as any other: that is no failure. */
export async function runGraph(environment: Environment, { format, all }: GraphOptions): Promise<ExitCode> {
  return withReport(environment, (report) => {
    environment.output.line(DRAW[format](pictureOf(report, all === true)).trimEnd());
    return EXIT.ok;
  });
}
