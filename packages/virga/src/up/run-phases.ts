// Carries out a plan, showing how far it is. Stops at the first phase that fails: the next run goes on from there.
import type { Progress } from '@virga/cli/output/progress';
import { VirgaError } from '@virga/contract/errors';
import type { Plan } from './phase.ts';

/**
 * Runs the phases in order. A phase is checked once more right before its turn, because the ones before it may have
 * done its work, or made more of it known.
 * @param signal ends the run between two phases
 * @throws what the phase threw that failed
 */
export async function runPhases(plan: Plan, progress: Progress, signal?: AbortSignal): Promise<void> {
  try {
    for (const { phase } of plan) {
      signal?.throwIfAborted();
      const changes = await phase.check();
      if (changes.length === 0) continue;
      const task = progress.task(phase.title);
      const startedMs = performance.now();
      try {
        await phase.change((message, percent = 0) => task.update(message, percent));
      } catch (error) {
        task.fail(error instanceof VirgaError ? error.detail : 'failed');
        throw error;
      }
      task.succeed(`done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    }
  } finally {
    progress.close();
  }
}
