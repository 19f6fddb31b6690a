// A guest is frozen for the moment of a snapshot by its host. When this server, which may be the host's agent too, is killed in
// that moment, nobody would thaw it: so the time at which it is thawed in any case is written down before.
import type { InstanceId } from '@virga/contract/ids';
import type { Deps } from '../../deps.ts';
import { inTransaction } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';

const frozenAtMostMs = 30_000;

/** Whoever has frozen the guest before keeps the time that they have set. */
export async function thawedInAnyCase<T>(deps: Deps, instanceId: InstanceId, work: () => Promise<T>): Promise<T> {
  const at = new Date(deps.clock.now().getTime() + frozenAtMostMs);
  const isOurs = await inTransaction(deps.db, async (tx) => {
    const inserted = await tx
      .insertInto('guest_freezes')
      .values({ instance_id: instanceId, frozen_until: at, thaw_at: at, failures: 0 })
      .onConflict((conflict) => conflict.column('instance_id').doNothing())
      .returning('instance_id')
      .executeTakeFirst();
    if (inserted) await notify(tx, 'due');
    return inserted !== undefined;
  });
  const result = await work();
  // After a failure the guest may be frozen still.
  if (isOurs) {
    await deps.db.deleteFrom('guest_freezes').where('instance_id', '=', instanceId).where('thaw_at', '=', at).execute();
  }
  return result;
}
