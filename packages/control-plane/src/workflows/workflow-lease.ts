// Who works on a workflow. A lease has an end, and a fence that grows with every holder: each write of a holder names its
// fence, so that one who was thought dead and comes back changes nothing.
import type { OperationId } from '@virga/contract/ids';
import { type Selectable, sql } from 'kysely';
import type { Db, Tx } from '../store/database.ts';
import { notify } from '../store/notifications.ts';
import type { Database } from '../store/schema.ts';

export type LeasedOperation = Selectable<Database['operations']>;
type Lease = { id: OperationId; fence: number };

/** Somebody else holds the lease now. */
export class LeaseLost extends Error {}

const fromNow = (ms: number) => sql<Date>`clock_timestamp() + ${ms} * interval '1 millisecond'`;

/** Kinds of workflows: these, or all but these. */
export type KindFilter = { op: 'in' | 'not in'; kinds: readonly string[] };
const everyKind: KindFilter = { op: 'not in', kinds: [] };

const isOfKind = ({ op, kinds }: KindFilter) =>
  op === 'in' ? sql<boolean>`kind = any(${kinds})` : sql<boolean>`kind <> all(${kinds})`;

/** Of those with the same turn one is worked on, or else the oldest that could be is the next; what is put off lets others go first. */
const isItsTurn = sql<boolean>`not exists (
  select from operations other
  where other.input->>'turn' = operations.input->>'turn' and other.id <> operations.id and other.state in ('queued', 'running')
    and case
      when other.lease_until > now() then other.lease_owner is not null
      else (other.created_at, other.id) < (operations.created_at, operations.id)
    end
)`;

/** Takes the oldest workflows that nobody works on. What another engine is just taking is skipped. */
export async function takeLeases(
  db: Db,
  owner: string,
  count: number,
  leaseMs: number,
  filter = everyKind,
): Promise<LeasedOperation[]> {
  return db
    .updateTable('operations')
    .set((column) => ({ lease_owner: owner, lease_until: fromNow(leaseMs), fence: column('fence', '+', 1) }))
    .where('id', 'in', (operations) =>
      operations
        .selectFrom('operations')
        .select('id')
        .where('state', 'in', ['queued', 'running'])
        .where('input', 'is not', null)
        .where(isOfKind(filter))
        .where((where) => where.or([where('lease_until', 'is', null), where('lease_until', '<=', sql<Date>`now()`)]))
        .where(isItsTurn)
        .orderBy('created_at')
        .limit(count)
        .forUpdate()
        .skipLocked(),
    )
    .returningAll()
    .execute();
}

/** Changes a workflow for its holder. @throws LeaseLost and changes nothing */
export async function updateLeased(
  db: Db | Tx,
  { id, fence }: Lease,
  set: Partial<{
    step: number;
    failure: string;
    state: 'running';
    started_at: Date;
    message: string;
    progress_percent: number;
  }>,
  leaseMs: number,
): Promise<void> {
  const { numUpdatedRows } = await db
    .updateTable('operations')
    .set({ ...set, lease_until: fromNow(leaseMs) })
    .where('id', '=', id)
    .where('fence', '=', fence)
    .where('state', 'in', ['queued', 'running'])
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw new LeaseLost(`the workflow ${id} is somebody else's`);
}

/** Gives the workflow back, to be taken again by anybody after that time. */
export async function giveBack(db: Db, { id, fence }: Lease, afterMs: number): Promise<void> {
  await db
    .updateTable('operations')
    .set({ lease_owner: null, lease_until: fromNow(afterMs) })
    .where('id', '=', id)
    .where('fence', '=', fence)
    .execute();
}

/** Frees what engines before this one held. Only for the one engine that may be active. */
export async function takeOverLeases(db: Db): Promise<void> {
  await db
    .updateTable('operations')
    .set((column) => ({ lease_owner: null, lease_until: null, fence: column('fence', '+', 1) }))
    .where('state', 'in', ['queued', 'running'])
    .where('input', 'is not', null)
    .where('lease_owner', 'is not', null)
    .execute();
}

/** For more than that nobody counts. */
const toldAtMost = 100;

/** Tells the workflows that nobody has taken yet how many are before them. */
export async function tellQueue(db: Db, filter: KindFilter): Promise<void> {
  const { rows } = await sql<{ id: OperationId }>`
    with unfinished as (
      select id, created_at, state, lease_owner is not null as is_taken from operations
      where state in ('queued', 'running') and input is not null and ${isOfKind(filter)}
    ), waiting as (
      select id, (select count(*) from unfinished where is_taken) + row_number() over (order by created_at, id) - 1 as before
      from unfinished where state = 'queued' and not is_taken order by created_at, id limit ${toldAtMost}
    ), told as (
      select id, 'waits for ' || before || case before when 1 then ' other' else ' others' end as message
      from waiting where before > 0
    )
    update operations o set message = told.message from told
    where o.id = told.id and o.state = 'queued' and o.lease_owner is null and o.message <> told.message
    returning o.id`.execute(db);
  for (const { id } of rows) await notify(db, 'operations', id);
}

/** When the next workflow can be taken, in ms from now; undefined when none waits but for others to end. */
export async function nextLeaseMs(db: Db, filter: KindFilter): Promise<number | undefined> {
  const row = await db
    .selectFrom('operations')
    .select(sql<number | null>`extract(epoch from min(lease_until) - now())::float8 * 1000`.as('ms'))
    .where('state', 'in', ['queued', 'running'])
    .where('input', 'is not', null)
    .where('lease_until', '>', sql<Date>`now()`)
    .where(isOfKind(filter))
    .executeTakeFirst();
  return row?.ms ?? undefined;
}
