// The end of an instance's lease: a warning ahead, then stop or delete. Each is one transaction that also says that it has
// been done, so neither happens twice, and what was due while no server ran happens at the next start.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { neverExpires } from './instance-attributes.ts';
import { carryOut, decideDelete, decideStop, defaultStopSeconds } from './instance-operations.ts';
import { about } from './instance-outcome.ts';
import { findInstance, type InstanceRow } from './instance-store.ts';

type Context = { deps: Deps; access: SystemAccess };

const batchSize = 100;

/** When there is next something to do: to warn, or to end a lease. */
export async function nextExpiry(db: Db): Promise<Date | undefined> {
  const row = await db
    .selectFrom('instances')
    .select('expiry_due_at')
    .where('expiry_due_at', 'is not', null)
    .orderBy('expiry_due_at')
    .limit(1)
    .executeTakeFirst();
  return row?.expiry_due_at ?? undefined;
}

/** Does all that is due by now. */
export async function expireDue(context: Context, signal: AbortSignal): Promise<void> {
  const { db, clock } = context.deps;
  for (;;) {
    const due = await db
      .selectFrom('instances')
      .select('id')
      .where('expiry_due_at', '<=', clock.now())
      .orderBy('expiry_due_at')
      .limit(batchSize)
      .execute();
    for (const { id } of due) {
      signal.throwIfAborted();
      await inTransaction(db, (tx) => expire(context, tx, id));
    }
    if (due.length < batchSize) return;
  }
}

async function expire({ deps, access }: Context, tx: Tx, id: InstanceId): Promise<void> {
  await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
  const row = await findInstance(tx, id);
  const now = deps.clock.now();
  // Somebody may have given it more time meanwhile.
  if (!row?.expires_at || !row.expiry_due_at || row.expiry_due_at > now) return;
  if (row.desired === 'deleted') return setExpiry(tx, id, neverExpires);
  if (row.expires_at > now) {
    await setExpiry(tx, id, { expiry_due_at: row.expires_at });
    return tellExpiring({ deps, access }, tx, row, row.expires_at);
  }
  await setExpiry(tx, id, neverExpires);
  await appendEvent(tx, access, {
    ...about(row, 'instance.expired'),
    message: `Instance ${row.name} has expired and is ${row.expiry_action === 'delete' ? 'deleted' : 'stopped'}.`,
    data: { expiresAt: row.expires_at.toISOString(), action: row.expiry_action },
  });
  await end({ deps, access }, tx, row, now);
}

async function end({ deps, access }: Context, tx: Tx, row: InstanceRow, now: Date): Promise<void> {
  if (row.expiry_action === 'delete') {
    await carryOut(deps, tx, access, row, await decideDelete(deps, tx, access, row));
    return;
  }
  // One that is off is off, whichever way.
  if (row.desired === 'stopped' || row.desired === 'hibernated') return;
  const forceAt = new Date(now.getTime() + defaultStopSeconds * 1000);
  try {
    await carryOut(deps, tx, access, row, await decideStop(deps, tx, access, row, 'instance.stop', forceAt));
  } catch (error) {
    // A refusal comes before anything has changed, and asking again would be refused again.
    if (!(error instanceof VirgaError)) throw error;
    await appendEvent(tx, access, {
      ...about(row, 'instance.expiry-refused'),
      message: `Instance ${row.name} has expired but cannot be stopped: ${error.detail}`,
    });
  }
}

async function tellExpiring({ access }: Context, tx: Tx, row: InstanceRow, expiresAt: Date): Promise<void> {
  const what = row.expiry_action === 'delete' ? 'deleted' : 'stopped';
  await appendEvent(tx, access, {
    ...about(row, 'instance.expiring'),
    message: `Instance ${row.name} expires at ${expiresAt.toISOString()} and is ${what} then; virga set ${row.name} --expires gives it more time.`,
    data: { expiresAt: expiresAt.toISOString(), action: row.expiry_action },
  });
}

async function setExpiry(tx: Tx, id: InstanceId, expiry: Partial<typeof neverExpires>): Promise<void> {
  await tx.updateTable('instances').set(expiry).where('id', '=', id).execute();
}
