// Asking the cloud for one or several changes, and waiting for them when that was wanted. Each change has its own outcome;
// one that fails does not stop the others.
import type { VirgaError } from '@virga/contract/errors';
import type { OperationId } from '@virga/contract/ids';
import type { CommandContext } from '../context.ts';
import { eachBounded } from '../each-bounded.ts';
import { Interrupted } from '../interrupt.ts';
import { asVirgaError } from '../output/error-report.ts';
import type { ProgressTask } from '../output/progress.ts';
import { followOperation } from './follow-operation.ts';

export type Change<T> = {
  /** What progress and results call it: the name of the resource. */
  name: string;
  request: () => Promise<{ operationId: OperationId; resource: T }>;
  /** After the operation has succeeded: reads the resource anew, or waits for more. Default: nothing is read. */
  afterwards?: ((resource: T, task: ProgressTask) => Promise<T>) | undefined;
  /** What progress says at the end, such as `stopped`. */
  done: (resource: T) => string;
};

export type Outcome<T> = {
  name: string;
  operationId?: OperationId;
  resource?: T;
  /** What the operation has to say at its end. */
  note?: string;
  error?: VirgaError;
};

const atOnce = 8;
/** The message of an operation that has ended as it should. */
const nothingToSay = 'done';

/** Makes the changes, at most eight at a time. @throws Interrupted the user ended the wait; the operations go on */
export async function makeChanges<T>(
  context: CommandContext,
  changes: readonly Change<T>[],
  wait: boolean,
): Promise<Outcome<T>[]> {
  const begun: OperationId[] = [];
  const progress = context.progress();
  try {
    return await eachBounded(changes, atOnce, async (change) => {
      const outcome: Outcome<T> = { name: change.name };
      let task: ProgressTask | undefined;
      try {
        const { operationId, resource } = await change.request();
        Object.assign(outcome, { operationId, resource });
        if (!wait) return outcome;
        begun.push(operationId);
        task = progress.task(change.name, { passing: changes.length === 1 });
        const client = await context.client();
        const follow = { signal: context.interrupt(), onChange: task.update };
        const { message } = await followOperation(client, operationId, follow);
        if (message !== nothingToSay) outcome.note = message;
        outcome.resource = (await change.afterwards?.(resource, task)) ?? resource;
        task.succeed(change.done(outcome.resource));
        begun.splice(begun.indexOf(operationId), 1);
      } catch (error) {
        if (wait && context.interrupt().aborted) throw error;
        outcome.error = asVirgaError(error);
        task?.fail(outcome.error.detail);
      }
      return outcome;
    });
  } catch (error) {
    if (begun.length === 0 || !context.interrupt().aborted) throw error;
    throw new Interrupted(leftRunning(begun));
  } finally {
    progress.close();
  }
}

export function leftRunning(ids: readonly OperationId[]): string {
  const what = ids.length === 1 ? `The operation ${ids[0]} goes on` : `${ids.length} operations go on`;
  return `Stopped waiting. ${what}; follow with: virga operations wait ${ids.join(' ')}`;
}
