// Reading operations, and waiting for them.
import { isDeepStrictEqual } from 'node:util';
import { VirgaError } from '@virga/contract/errors';
import type { OperationId } from '@virga/contract/ids';
import type { Operation, OperationState } from '@virga/contract/rest/operations';
import type { Selectable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Db } from '../../store/database.ts';
import type { Notifications } from '../../store/notifications.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import type { Database } from '../../store/schema.ts';

export async function listOperations(
  db: Db,
  access: ProjectAccess,
  { state, resourceId, ...page }: PageRequest & { state?: OperationState; resourceId?: string },
) {
  let query = db.selectFrom('operations').selectAll().where('project_id', '=', access.projectId);
  if (state !== undefined) query = query.where('state', '=', state);
  if (resourceId !== undefined) query = query.where('resource_id', '=', resourceId);
  return fetchPage(query, 'operations', page, toOperation, 'desc');
}

/**
 * The operation, at once or as soon as it has changed from what it was, at the latest after `waitMs`: a caller that
 * shows progress asks again and again. An ended operation is answered at once.
 */
export async function getOperation(
  { db, notifications }: { db: Db; notifications: Notifications },
  access: ProjectAccess,
  id: OperationId,
  waitMs: number,
  signal: AbortSignal,
): Promise<Operation> {
  let told = Promise.withResolvers<void>();
  let over = waitMs === 0 || signal.aborted;
  const stop = () => {
    over = true;
    told.resolve();
  };
  // A notification may be of a change that the first reading has seen already; what was missed in a broken connection
  // is found by reading again.
  const unsubscribe = [
    notifications.subscribe('operations', (changedId) => changedId === id && told.resolve()),
    notifications.onReconnected(() => told.resolve()),
  ];
  const timer = setTimeout(stop, waitMs);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const before = await readOperation(db, access, id);
    let operation = before;
    while (!over && operation.finishedAt === null && isDeepStrictEqual(operation, before)) {
      await told.promise;
      if (!over) told = Promise.withResolvers<void>();
      operation = await readOperation(db, access, id);
    }
    return operation;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    for (const end of unsubscribe) end();
  }
}

async function readOperation(db: Db, access: ProjectAccess, id: OperationId): Promise<Operation> {
  const row = await db
    .selectFrom('operations')
    .selectAll()
    .where('id', '=', id)
    .where('project_id', '=', access.projectId)
    .executeTakeFirst();
  if (!row) {
    throw new VirgaError('NotFound', {
      detail: `There is no operation ${id}.`,
      action: 'List operations with virga operations list.',
    });
  }
  return toOperation(row);
}

function toOperation(row: Selectable<Database['operations']>): Operation {
  return {
    id: row.id,
    kind: row.kind,
    projectId: row.project_id,
    resourceId: row.resource_id,
    resourceName: row.resource_name,
    state: row.state,
    progressPercent: row.progress_percent,
    message: row.message,
    error: row.error,
    requestedBy: row.requested_by,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}
