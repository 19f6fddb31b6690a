// A phase of `script/up` or `script/down` as data: what it is about, what it would change now, and how it changes it.
// Each can be run again at any time; one that fails leaves nothing half made, and the next run goes on from there.

/** Says what is being done now, and how much of it is done, 0 to 100, where that is known. */
export type Report = (message: string, percent?: number) => void;

export type Phase = {
  /** What the phase is about, such as `libvirt`. */
  title: string;
  /**
   * What it would change now, a line each; nothing when all is as it should be. May not know yet, when an earlier phase
   * has to come first: then it says what it would do on a fresh machine.
   */
  check(): Promise<string[]>;
  /** Makes the change. Only called after `check` has found something to do. */
  change(report: Report): Promise<void>;
};

export type Plan = { phase: Phase; changes: string[] }[];

/** Asks every phase what it would change, without changing anything. */
export async function planPhases(phases: readonly Phase[]): Promise<Plan> {
  const plan: Plan = [];
  for (const phase of phases) plan.push({ phase, changes: await phase.check() });
  return plan;
}

export const hasChanges = (plan: Plan) => plan.some(({ changes }) => changes.length > 0);

/** The plan as people read it: a mark, the title, and what would be done, one line each. */
export function planText(plan: Plan): string {
  const width = Math.max(...plan.map(({ phase }) => phase.title.length));
  return plan
    .flatMap(({ phase, changes }) => {
      const [first = 'is as it should be', ...others] = changes;
      const mark = changes.length > 0 ? '•' : '✔';
      return [
        `  ${mark} ${phase.title.padEnd(width)}  ${first}`,
        ...others.map((change) => `    ${''.padEnd(width)}  ${change}`),
      ];
    })
    .join('\n');
}
