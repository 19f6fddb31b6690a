// Carries out a plan with progress on the terminal. Stops at the first phase that fails and says what to do.
import { VirgaError } from '@virga/contract/errors';
import { Listr } from 'listr2';
import type { Plan } from './phase.ts';

/**
 * Runs the phases in order. A phase is checked once more right before its turn, because the ones before it may have
 * done its work, or made more of it known.
 * @throws what the phase threw that failed
 */
export async function runPhases(plan: Plan, { interactive }: { interactive: boolean }): Promise<void> {
  const tasks = plan.map(({ phase }) => ({
    title: phase.title,
    task: async (_context: unknown, task: { title: string; output: string }) => {
      const changes = await phase.check();
      if (changes.length === 0) return;
      await phase.change((message) => {
        task.output = message;
      });
    },
  }));
  await new Listr(tasks, {
    renderer: interactive ? 'default' : 'simple',
    rendererOptions: interactive ? { collapseErrors: false, showErrorMessage: false } : {},
    exitOnError: true,
    registerSignalListeners: false,
  }).run();
}

/** What a person reads when a phase failed, and the exit code. Errors that are ours to mend show where they are from. */
export function failureOf(error: unknown): { text: string; exitCode: number } {
  if (error instanceof VirgaError) return { text: `${error.detail} ${error.action}`, exitCode: error.kind.exit };
  return { text: error instanceof Error ? (error.stack ?? error.message) : String(error), exitCode: 1 };
}
