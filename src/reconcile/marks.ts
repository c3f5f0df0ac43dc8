/** The connection marks of a run: a step that fails is that NIC's problem, and undoes nothing else of it. */
import { isMarkStep } from '../apply/executors.ts';
import { applyMarks } from '../apply/marks.ts';
import { AgentError } from '../errors.ts';
import type { NicProblem } from '../model/desired.ts';
import type { Step } from '../model/plan.ts';
import { observeMarks } from '../observe/marks.ts';

export interface Marking {
  /** Those that were not done. */
  readonly failed: readonly Step[];
  readonly problems: readonly NicProblem[];
  /** The firewall has some of ours now. */
  readonly hasMarks: boolean;
}

/** Of the steps of a run, those that set or take away marks. */
export async function setMarks(steps: readonly Step[], hadMarks: boolean): Promise<Marking> {
  const own = steps.filter(isMarkStep);
  if (own.length === 0) return { failed: [], problems: [], hasMarks: hadMarks };
  try {
    return { failed: [], problems: [], hasMarks: await applyMarks(own) };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    const ifnames = new Map(own.map((step) => [step.mac, step.interface]));
    const problems = [...ifnames].map(([mac, ifname]) => ({
      mac,
      message: `setting the connection marks of ${ifname}: ${error.message}`,
      isAboutMarks: true,
      ...(own[0] === undefined ? {} : { stepKind: own[0].kind }),
    }));
    return { failed: own, problems, hasMarks: (await observeMarks()).length > 0 };
  }
}
