// Writes down how far the hosts have come with a network. A network that its hosts refuse from the start is removed again.
import { fromProblem, type VirgaError } from '@virga/contract/errors';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { failureOf } from '../../store/failure.ts';
import { endOperation, openOperationsOf, progressOperation } from '../operations/operation-store.ts';
import type { NetworkRow } from './network-store.ts';

type Context = { deps: Deps; access: SystemAccess };

/** @returns whether this was what is desired now */
export async function recordNetworkReached({ deps, access }: Context, row: NetworkRow): Promise<boolean> {
  if (row.converged_generation === row.generation && row.failure === null) return true;
  return inTransaction(deps.db, async (tx) => {
    if (!(await hold(tx, row))) return false;
    await tx
      .updateTable('networks')
      .set({ converged_generation: row.generation, failure: null })
      .where('id', '=', row.id)
      .execute();
    for (const id of await openOperationsOf(tx, row.id)) await endOperation(tx, access, id, {}, deps.clock.now());
    await appendEvent(tx, access, { ...about(row, 'network.active'), message: `Network ${row.name} is active.` });
    return true;
  });
}

export async function recordNetworkDeleted({ deps, access }: Context, row: NetworkRow): Promise<boolean> {
  return inTransaction(deps.db, async (tx) => {
    if (!(await hold(tx, row))) return false;
    const error = row.failure ? fromProblem(row.failure) : undefined;
    for (const id of await openOperationsOf(tx, row.id))
      await endOperation(tx, access, id, { error }, deps.clock.now());
    await tx.deleteFrom('networks').where('id', '=', row.id).execute();
    await appendEvent(tx, access, {
      ...about(row, error ? 'network.create-failed' : 'network.deleted'),
      message: error
        ? `Network ${row.name} could not be created and was removed again: ${error.detail}`
        : `Network ${row.name} was deleted.`,
    });
    return true;
  });
}

/** @returns whether the network is to be removed again, because it never came up */
export async function recordNetworkFailed(
  { deps, access }: Context,
  row: NetworkRow,
  error: VirgaError,
): Promise<boolean> {
  const now = deps.clock.now();
  const isWaiting = error.kind.retryable || row.desired === 'deleted';
  return inTransaction(deps.db, async (tx) => {
    if (!(await hold(tx, row))) return false;
    if (isWaiting) {
      const message = `waiting: ${error.detail}`;
      for (const id of await openOperationsOf(tx, row.id)) await progressOperation(tx, access, id, { message }, now);
      return false;
    }
    if (row.failure) return false;
    const isNew = row.converged_generation === 0;
    await tx
      .updateTable('networks')
      .set({
        failure: failureOf(error),
        ...(isNew && { desired: 'deleted' as const, generation: row.generation + 1 }),
      })
      .where('id', '=', row.id)
      .execute();
    if (!isNew) {
      await appendEvent(tx, access, {
        ...about(row, 'network.failed'),
        message: `Network ${row.name}: ${error.detail}`,
      });
    }
    return isNew;
  });
}

export async function tellNetwork({ deps, access }: Context, row: NetworkRow, type: string, message: string) {
  await inTransaction(deps.db, (tx) => appendEvent(tx, access, { ...about(row, type), message }));
}

async function hold(tx: Tx, row: NetworkRow): Promise<boolean> {
  const current = await tx
    .selectFrom('networks')
    .select('generation')
    .where('id', '=', row.id)
    .forUpdate()
    .executeTakeFirst();
  return current?.generation === row.generation;
}

const about = (row: NetworkRow, type: string) => ({
  type,
  projectId: row.project_id,
  resourceId: row.id,
  resourceName: row.name,
});
