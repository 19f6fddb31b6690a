// Deletes snapshots that were taken for clones once the last that needs them is gone: nobody else knows of them, so one that its
// host could not delete is tried again ever less often.
import type { SnapshotId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { backOffMs } from '../../reconcile/back-off.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { volumesMadeOf } from '../volumes/snapshot-origin.ts';
import { beginDeletion, deleteSnapshotKind } from './snapshot-operations.ts';
import { findSnapshot, isBusy } from './snapshot-store.ts';

export async function reapSpentSnapshots({ deps, access }: { deps: Deps; access: SystemAccess }): Promise<void> {
  const spent = await deps.db
    .selectFrom('snapshots as s')
    .leftJoin('linked_clones as c', 'c.snapshot_id', 's.id')
    .select(['s.id', 's.instance_id'])
    .where('s.purpose', '=', 'clone')
    .where('s.state', 'in', ['available', 'error'])
    .where('c.instance_id', 'is', null)
    .execute();
  for (const { id, instance_id } of spent) {
    await inTransaction(deps.db, async (tx) => {
      // As whoever clones the instance does first.
      await tx.selectFrom('instances').select('id').where('id', '=', instance_id).forUpdate().execute();
      const row = await findSnapshot(tx, id);
      if (row === undefined || row.state === 'creating' || row.state === 'deleting') return;
      if (row.state === 'error' && deps.clock.now().getTime() < (await retryAtMs(tx, id))) return;
      if (row.clones.length > 0 || (await isBusy(tx, instance_id))) return;
      if ((await volumesMadeOf(tx, { snapshotId: id })).length > 0) return;
      // A clone of it may just be being made.
      const clone = await tx
        .selectFrom('operations')
        .select('id')
        .where('kind', '=', 'instance.clone')
        .where('state', 'in', ['queued', 'running'])
        .where('project_id', '=', row.project_id)
        .executeTakeFirst();
      if (clone === undefined) await beginDeletion(tx, access, row);
    });
  }
}

async function retryAtMs(tx: Tx, id: SnapshotId): Promise<number> {
  const { failures, last } = await tx
    .selectFrom('operations')
    .select(({ fn }) => [fn.countAll<number>().as('failures'), fn.max('finished_at').as('last')])
    .where('resource_id', '=', id)
    .where('kind', '=', deleteSnapshotKind)
    .where('state', '=', 'failed')
    .executeTakeFirstOrThrow();
  return (last?.getTime() ?? 0) + backOffMs(Number(failures));
}
