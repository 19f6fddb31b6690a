// What somebody has made of a definition with virsh or virt-manager: kept as an overlay or taken back, as the instance's policy
// says. Decided in one transaction with the event that tells it; the reconciler has the host do it.
import type { ObservedDrift } from '@virga/contract/agent/definition';
import type { HostId, InstanceId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { about } from './instance-outcome.ts';
import { findInstance, openOperationOf } from './instance-store.ts';
import { wakeInstance } from './instance-wake.ts';

type Context = { deps: Deps; access: SystemAccess };

/** @param hostId where it was seen; an instance that somebody has moved there is first followed */
export async function recordDrift(
  { deps, access }: Context,
  hostId: HostId,
  id: InstanceId,
  seen: ObservedDrift,
): Promise<void> {
  await inTransaction(deps.db, async (tx) => {
    await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
    const row = await findInstance(tx, id);
    if (row?.host_id !== hostId || row.desired === 'deleted') return;
    // Told twice, by the watch and by the answer of the host, before the decision has come there.
    if (row.drift?.hash === seen.hash && row.generation !== row.converged_generation) return;
    const isKept = row.drift_policy === 'keep';
    const action = isKept ? 'kept' : 'reverted';
    const { hash, diff, conflicts, overlay } = seen;
    await tx
      .updateTable('instances')
      .set({
        drift: JSON.stringify({
          hash,
          generation: row.generation + 1,
          seenAt: deps.clock.now().toISOString(),
          action,
          diff,
        }),
        ...(isKept && { overlay: JSON.stringify(overlay) }),
        generation: row.generation + 1,
        operation_id: (await openOperationOf(tx, row.operation_id)) ?? null,
        retry_at: null,
      })
      .where('id', '=', id)
      .execute();
    const rest = isKept && conflicts.length > 0 ? ` Not all of it can be kept: ${conflicts.join(' ')}` : '';
    const what = isKept ? 'it is kept over what Virga defines' : 'it was taken back';
    await appendEvent(tx, access, {
      ...about(row, 'instance.changed-outside'),
      message: `The definition of instance ${row.name} was changed beside Virga: ${what}.${rest}`,
      data: { action, diff },
    });
    await wakeInstance(tx, row.host_id, id);
  });
}
