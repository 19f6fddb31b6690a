// A change of one resource, from the request to what the user reads of it. Several at once are makeChanges' and reportChanges'.
import type { OperationId } from '@virga/contract/ids';
import type { CommandContext } from '../context.ts';
import { type Change, makeChanges } from './make-changes.ts';
import { type ChangeWords, reportChanges } from './report-changes.ts';

/** The change of a resource of the type `T`, which is asked for as the API does: `A` has it by its noun. */
type OneChange<A, T> = Omit<Change<T>, 'request'> &
  Omit<ChangeWords<T>, 'noun'> & { request: () => Promise<A>; wait: boolean };

/** @returns the exit code */
export async function changeOne<
  N extends string,
  A extends { operationId: OperationId } & { [K in N]: { id: string } },
>(context: CommandContext, noun: N, { request, wait, ...change }: OneChange<A, A[N]>): Promise<number> {
  const ask = async () => {
    const answer = await request();
    return { operationId: answer.operationId, resource: answer[noun] };
  };
  const outcomes = await makeChanges<A[N]>(context, [{ ...change, request: ask }], wait);
  return reportChanges<A[N]>(context, outcomes, { noun, ...change }, { waited: wait, many: false });
}
