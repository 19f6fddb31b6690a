// Rows of operations: how work that outlives its request is created, moved on and ended. An ended operation never changes.
import { toProblem, VirgaError } from '@virga/contract/errors';
import { newId, type OperationId, type ProjectId } from '@virga/contract/ids';
import type { WriteAccess } from '../../access/authorizer.ts';
import type { Db, Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';

export type NewOperation = {
  /** noun.verb */
  kind: string;
  projectId: ProjectId;
  resourceId: string;
  resourceName: string;
  /** For what a reconciler drives: the generation that is to be reached. */
  generation?: number;
  /** For a workflow: its input. */
  input?: Record<string, unknown>;
};

export async function createOperation(tx: Tx, access: WriteAccess, operation: NewOperation): Promise<OperationId> {
  const id = newId('operation');
  await tx
    .insertInto('operations')
    .values({
      id,
      kind: operation.kind,
      project_id: operation.projectId,
      resource_id: operation.resourceId,
      resource_name: operation.resourceName,
      requested_by: access.actor.name,
      generation: operation.generation ?? null,
      input: operation.input === undefined ? null : JSON.stringify(operation.input),
      lease_owner: null,
      lease_until: null,
      failure: null,
      error: null,
      started_at: null,
      finished_at: null,
    })
    .execute();
  await notify(tx, 'operations', id);
  return id;
}

const open = ['queued', 'running'] as const;

/** Reports progress. Does nothing to an operation that has ended; percent never goes back. */
export async function progressOperation(
  db: Db | Tx,
  _access: WriteAccess,
  id: OperationId,
  { message, percent = 0 }: { message: string; percent?: number },
  now: Date,
): Promise<void> {
  const { numUpdatedRows } = await db
    .updateTable('operations')
    .set((column) => ({
      state: 'running',
      message,
      progress_percent: column.fn('greatest', ['progress_percent', column.val(Math.min(99, Math.round(percent)))]),
      started_at: column.fn.coalesce('started_at', column.val(now)),
    }))
    .where('id', '=', id)
    .where('state', 'in', open)
    .where((where) =>
      where.or([where('message', '!=', message), where('progress_percent', '<', Math.min(99, Math.round(percent)))]),
    )
    .executeTakeFirst();
  if (numUpdatedRows > 0n) await notify(db, 'operations', id);
}

/** Ends an operation. The first end wins; a second one changes nothing and answers false. */
export async function endOperation(
  tx: Tx | Db,
  _access: WriteAccess,
  id: OperationId,
  outcome: { error?: VirgaError | undefined; message?: string | undefined },
  now: Date,
): Promise<boolean> {
  const failed = outcome.error !== undefined;
  const { numUpdatedRows } = await tx
    .updateTable('operations')
    .set((column) => ({
      state: failed ? 'failed' : 'succeeded',
      ...(failed ? {} : { progress_percent: 100 }),
      message: failed ? outcome.error!.detail : (outcome.message ?? 'done'),
      error: failed ? JSON.stringify(toProblem(outcome.error!)) : null,
      started_at: column.fn.coalesce('started_at', column.val(now)),
      finished_at: now,
      lease_owner: null,
      lease_until: null,
    }))
    .where('id', '=', id)
    .where('state', 'in', open)
    .executeTakeFirst();
  if (numUpdatedRows > 0n) await notify(tx, 'operations', id);
  return numUpdatedRows > 0n;
}

/** Operations of a resource that have not ended. */
export async function openOperationsOf(db: Db | Tx, resourceId: string): Promise<OperationId[]> {
  const rows = await db
    .selectFrom('operations')
    .select('id')
    .where('resource_id', '=', resourceId)
    .where('state', 'in', open)
    .execute();
  return rows.map(({ id }) => id);
}

/** Ends every open operation of a resource, because a newer request has taken over. */
export async function overtakeOperations(
  tx: Tx,
  access: WriteAccess,
  resourceId: string,
  by: string,
  now: Date,
): Promise<void> {
  const ids = await openOperationsOf(tx, resourceId);
  const error = new VirgaError('Conflict', {
    detail: `The operation was overtaken by ${by}.`,
    action: 'Nothing needs to be done; ask again if you still want it.',
  });
  for (const id of ids) await endOperation(tx, access, id, { error }, now);
}
