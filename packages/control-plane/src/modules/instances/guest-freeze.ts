// Freezing the file systems of a guest, never for good: until when is written down before the guest is asked, so that also a
// server that was killed meanwhile lets them go on. A guest that does not answer then is asked again until it does, or is off.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { ProjectAccess, SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { requireInstance } from './instance-operations.ts';
import { about } from './instance-outcome.ts';
import { findInstance } from './instance-store.ts';

type Context = { deps: Deps; access: SystemAccess };

const defaultFreezeSeconds = 60;
const firstRetryMs = 2_000;
const longestRetryMs = 60_000;
const batchSize = 100;

export async function frozenUntil(db: Db, id: InstanceId): Promise<Date | undefined> {
  const row = await db
    .selectFrom('guest_freezes')
    .select('frozen_until')
    .where('instance_id', '=', id)
    .executeTakeFirst();
  return row?.frozen_until;
}

/** Of a guest that is frozen already, only the time is changed. @throws GuestUnavailable | GuestRefused | NotFound */
export async function freezeGuest(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { timeoutSeconds = defaultFreezeSeconds }: { timeoutSeconds?: number },
): Promise<{ fileSystems: number; frozenUntil: string }> {
  const row = await requireInstance(deps.db, access, id);
  const agent = deps.agents.agentOf(row.host_id);
  const { frozen } = await agent.guestInfo(id);
  const until = new Date(deps.clock.now().getTime() + timeoutSeconds * 1000);
  const times = { frozen_until: until, thaw_at: until, failures: 0 };
  await inTransaction(deps.db, async (tx) => {
    await tx
      .insertInto('guest_freezes')
      .values({ instance_id: id, ...times })
      .onConflict((conflict) => conflict.column('instance_id').doUpdateSet(times))
      .execute();
    await appendEvent(tx, access, {
      ...about(row, 'instance.guest-frozen'),
      message: `The file systems of ${row.name} are frozen.`,
      data: { until: until.toISOString() },
    });
    await notify(tx, 'due');
  });
  try {
    const { fileSystems } = await agent.guestFreeze(id);
    return { fileSystems, frozenUntil: until.toISOString() };
  } catch (error) {
    // A guest that did not answer may have frozen all the same; one that refused has not.
    const isSure = error instanceof VirgaError && error.code === 'GuestRefused' && !frozen;
    if (isSure) await deps.db.deleteFrom('guest_freezes').where('instance_id', '=', id).execute();
    else await thawSoon(deps, id);
    throw error;
  }
}

export async function thawGuest(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
): Promise<{ fileSystems: number }> {
  const row = await requireInstance(deps.db, access, id);
  const { fileSystems } = await deps.agents.agentOf(row.host_id).guestThaw(id);
  await inTransaction(deps.db, async (tx) => {
    await tx.deleteFrom('guest_freezes').where('instance_id', '=', id).execute();
    await appendEvent(tx, access, {
      ...about(row, 'instance.guest-thawed'),
      message: `The file systems of ${row.name} go on.`,
    });
  });
  return { fileSystems };
}

/**
 * Lets a guest go on in time that a host is about to freeze for a moment, also when nobody tells of its end.
 * @returns what ends that; null: somebody has frozen it already, and says when it goes on
 */
export async function guardFreeze(deps: Deps, id: InstanceId, atMostMs: number): Promise<Date | null> {
  const until = new Date(deps.clock.now().getTime() + atMostMs);
  return inTransaction(deps.db, async (tx) => {
    const inserted = await tx
      .insertInto('guest_freezes')
      .values({ instance_id: id, frozen_until: until, thaw_at: until, failures: 0 })
      .onConflict((conflict) => conflict.column('instance_id').doNothing())
      .returning('instance_id')
      .executeTakeFirst();
    if (inserted) await notify(tx, 'due');
    return inserted ? until : null;
  });
}

/** The host has let the guest go on. When it is next tried to thaw it may have changed meanwhile; until when it is frozen has not. */
export async function endFreezeGuard({ db }: Deps, id: InstanceId, until: Date | null): Promise<void> {
  if (until === null) return;
  await db.deleteFrom('guest_freezes').where('instance_id', '=', id).where('frozen_until', '=', until).execute();
}

/** When there is next something to thaw. */
export async function nextThaw(db: Db): Promise<Date | undefined> {
  const row = await db.selectFrom('guest_freezes').select('thaw_at').orderBy('thaw_at').limit(1).executeTakeFirst();
  return row?.thaw_at;
}

/** Thaws every guest whose time is over. */
export async function thawDue(context: Context, signal: AbortSignal): Promise<void> {
  const { db, clock } = context.deps;
  const due = await db
    .selectFrom('guest_freezes')
    .selectAll()
    .where('thaw_at', '<=', clock.now())
    .orderBy('thaw_at')
    .limit(batchSize)
    .execute();
  // Side by side: one guest that does not answer takes many seconds.
  await Promise.all(due.map((freeze) => thawOne(context, freeze, signal)));
}

async function thawOne(
  { deps, access }: Context,
  { instance_id, thaw_at, failures }: { instance_id: InstanceId; thaw_at: Date; failures: number },
  signal: AbortSignal,
): Promise<void> {
  const { db, clock, agents } = deps;
  const row = await findInstance(db, instance_id);
  if (!row) return;
  const isOff = row.observed_state === 'stopped' || row.observed_state === 'absent';
  const error = isOff
    ? undefined
    : await agents
        .agentOf(row.host_id)
        .guestThaw(instance_id, { signal })
        .then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
  if (signal.aborted) return;
  await inTransaction(db, async (tx) => {
    // Unless somebody has frozen it anew meanwhile, or changed the time.
    const mine = tx.selectFrom('guest_freezes').where('instance_id', '=', instance_id).where('thaw_at', '=', thaw_at);
    if (!(await mine.select('instance_id').forUpdate().executeTakeFirst())) return;
    if (error === undefined) {
      await tx.deleteFrom('guest_freezes').where('instance_id', '=', instance_id).execute();
      await appendEvent(tx, access, {
        ...about(row, 'instance.guest-thawed'),
        message: isOff
          ? `${row.name} is off, and so no longer frozen.`
          : `The time is over: the file systems of ${row.name} go on.`,
      });
      return;
    }
    const waitMs = Math.min(longestRetryMs, firstRetryMs * 2 ** failures);
    await tx
      .updateTable('guest_freezes')
      .set({ thaw_at: new Date(clock.now().getTime() + waitMs), failures: Math.min(failures + 1, 16) })
      .where('instance_id', '=', instance_id)
      .execute();
    if (failures > 0) return;
    await appendEvent(tx, access, {
      ...about(row, 'instance.guest-thaw-failed'),
      message: `The file systems of ${row.name} cannot be thawed yet; it is tried again.`,
      data: { reason: error instanceof VirgaError ? error.detail : 'the agent has failed' },
    });
  });
}

async function thawSoon(deps: Deps, id: InstanceId): Promise<void> {
  await inTransaction(deps.db, async (tx) => {
    await tx
      .updateTable('guest_freezes')
      .set({ thaw_at: new Date(deps.clock.now().getTime() + firstRetryMs) })
      .where('instance_id', '=', id)
      .execute();
    await notify(tx, 'due');
  });
}
