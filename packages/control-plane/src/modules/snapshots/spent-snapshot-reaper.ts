// Deletes snapshots that were taken for clones once the last that needs them is gone: nobody else knows of them.
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { inTransaction } from '../../store/database.ts';
import { volumesMadeOf } from '../volumes/snapshot-origin.ts';
import { beginDeletion } from './snapshot-operations.ts';
import { findSnapshot, isBusy } from './snapshot-store.ts';

export async function reapSpentSnapshots({ deps, access }: { deps: Deps; access: SystemAccess }): Promise<void> {
  const spent = await deps.db
    .selectFrom('snapshots as s')
    .leftJoin('linked_clones as c', 'c.snapshot_id', 's.id')
    .select(['s.id', 's.instance_id'])
    .where('s.purpose', '=', 'clone')
    .where('s.state', '=', 'available')
    .where('c.instance_id', 'is', null)
    .execute();
  for (const { id, instance_id } of spent) {
    await inTransaction(deps.db, async (tx) => {
      // As whoever clones the instance does first.
      await tx.selectFrom('instances').select('id').where('id', '=', instance_id).forUpdate().execute();
      const row = await findSnapshot(tx, id);
      if (row?.state !== 'available' || row.clones.length > 0 || (await isBusy(tx, instance_id))) return;
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
