// The append-only record of what was asked and what happened. An event is written in the transaction of what it tells.
// Readers see events in an order that never changes behind them: only transactions older than every running one are
// delivered, so a slow commit cannot put an event before one that was already read.
import { VirgaError } from '@virga/contract/errors';
import type { ProjectId } from '@virga/contract/ids';
import type { Event } from '@virga/contract/rest/events';
import { type Selectable, sql } from 'kysely';
import type { CloudAccess, ProjectAccess, SystemAccess, UserAccess } from '../access/authorizer.ts';
import type { Db, Tx } from '../store/database.ts';
import { notify } from '../store/notifications.ts';
import type { Database } from '../store/schema.ts';

type AnyAccess = UserAccess | ProjectAccess | CloudAccess | SystemAccess;

export type NewEvent = {
  /** noun.what-happened */
  type: string;
  projectId: ProjectId | null;
  resourceId?: string | undefined;
  resourceName?: string | undefined;
  /** One sentence for people. */
  message: string;
  data?: Record<string, unknown>;
};

/** Appends an event: audit when a user asked for it, lifecycle when Virga saw or did it. */
export async function appendEvent(tx: Tx, access: AnyAccess, event: NewEvent): Promise<void> {
  await tx
    .insertInto('events')
    .values({
      category: access.requestId === null ? 'lifecycle' : 'audit',
      type: event.type,
      project_id: event.projectId,
      resource_id: event.resourceId ?? null,
      resource_name: event.resourceName ?? null,
      actor: access.actor.name,
      message: event.message,
      data: JSON.stringify(event.data ?? {}),
      request_id: access.requestId,
    })
    .execute();
  await notify(tx, 'events');
}

export type EventFilter = {
  /** `null`: of the whole cloud. */
  projectId: ProjectId | null;
  category?: 'audit' | 'lifecycle' | undefined;
  resourceId?: string | undefined;
};

/** Events after the cursor in log order, or before it when `newestFirst`. Settled ones only. */
export async function readEvents(
  db: Db,
  filter: EventFilter,
  { after, limit, newestFirst = false }: { after?: string | undefined; limit: number; newestFirst?: boolean },
): Promise<Event[]> {
  let query = db
    .selectFrom('events')
    .selectAll()
    .where(sql<boolean>`txid < pg_snapshot_xmin(pg_current_snapshot())`)
    .orderBy('txid', newestFirst ? 'desc' : 'asc')
    .orderBy('seq', newestFirst ? 'desc' : 'asc')
    .limit(limit);
  if (filter.projectId !== null) query = query.where('project_id', '=', filter.projectId);
  if (filter.category) query = query.where('category', '=', filter.category);
  if (filter.resourceId) query = query.where('resource_id', '=', filter.resourceId);
  if (after !== undefined) {
    const { txid, seq } = readCursor(after);
    const comparison = newestFirst ? sql`<` : sql`>`;
    query = query.where(sql<boolean>`(txid, seq) ${comparison} (${txid}::xid8, ${seq}::bigint)`);
  }
  return (await query.execute()).map(toEvent);
}

type EventQuery = Omit<EventFilter, 'projectId'> & {
  limit?: number | undefined;
  cursor?: string | undefined;
  order?: 'oldest' | 'newest' | undefined;
};

export function listProjectEvents(db: Db, access: ProjectAccess, query: EventQuery): Promise<EventPage> {
  return listEvents(db, access.projectId, query);
}

export function listCloudEvents(db: Db, _access: CloudAccess, query: EventQuery): Promise<EventPage> {
  return listEvents(db, null, query);
}

type EventPage = { items: Event[]; next?: string };

async function listEvents(
  db: Db,
  projectId: ProjectId | null,
  { limit = 100, cursor, order, ...filter }: EventQuery,
): Promise<EventPage> {
  if (cursor !== undefined) readCursor(cursor, '/cursor');
  const window = { after: cursor, limit: limit + 1, newestFirst: order === 'newest' };
  const events = await readEvents(db, { projectId, ...filter }, window);
  const items = events.slice(0, limit);
  return events.length > limit ? { items, next: items.at(-1)!.cursor } : { items };
}

/** The cursor of the end of the log: what is appended from now on comes after it. */
export async function endOfLog(db: Db): Promise<string> {
  const { rows } = await sql<{ txid: string }>`select pg_snapshot_xmin(pg_current_snapshot())::text as txid`.execute(
    db,
  );
  return `${rows[0]?.txid ?? '0'}-0`;
}

/** Whether something has been committed that readers do not get yet, because an older transaction still runs. */
export async function hasUnsettledEvents(db: Db): Promise<boolean> {
  const { rows } = await sql<{ found: boolean }>`
    select exists (select from events where txid >= pg_snapshot_xmin(pg_current_snapshot())) as found`.execute(db);
  return rows[0]?.found ?? false;
}

function toEvent(row: Selectable<Database['events']>): Event {
  return {
    cursor: `${row.txid}-${row.seq}`,
    time: row.time.toISOString(),
    category: row.category,
    type: row.type,
    projectId: row.project_id,
    resourceId: row.resource_id,
    resourceName: row.resource_name,
    actor: row.actor,
    message: row.message,
    data: row.data,
    requestId: row.request_id,
  };
}

const maxTransactionId = 2n ** 64n - 1n;
const maxSequence = 2n ** 63n - 1n;

/** @throws InvalidArgument it is no cursor of this log */
export function readCursor(cursor: string, field = '/after'): { txid: string; seq: string } {
  const [, txid = '', seq = ''] = /^(\d{1,20})-(\d{1,19})$/.exec(cursor) ?? [];
  if (txid === '' || BigInt(txid) > maxTransactionId || BigInt(seq) > maxSequence) {
    throw new VirgaError('InvalidArgument', {
      detail: 'The event cursor is not one that the event log has given out.',
      action: 'Start again without a cursor.',
      field,
    });
  }
  return { txid, seq };
}
