// Snapshots of a lost database, and the clones that rest on them. Schedules of snapshots are lost: hosts do not have them.
import type { ObservedSnapshot } from '@virga/contract/agent/snapshots';
import type { HostId } from '@virga/contract/ids';
import type { Tx } from '../store/database.ts';

type Kept = { purpose?: 'kept' | 'clone'; isProtected?: boolean; createdAt?: string };

/** After the instances. One that belongs to none that is known stays on its host. */
export async function recoverSnapshots(
  tx: Tx,
  { id: hostId, snapshots }: { id: HostId; snapshots: readonly ObservedSnapshot[] },
  leftAlone: string[],
): Promise<void> {
  for (const snapshot of snapshots) {
    const { id, name, instanceId, keepsake, memory, machineState, consistency, disks, takenAt, intact, clones } = snapshot;
    const { purpose = 'kept', isProtected = false, createdAt = takenAt } = keepsake as Kept;
    const instance = await tx
      .selectFrom('instances')
      .select('project_id')
      .where('id', '=', instanceId)
      .executeTakeFirst();
    if (!instance || !intact) {
      const why = intact ? 'is of an instance that nothing else tells of' : 'has lost a file';
      leftAlone.push(`Snapshot ${name} (${id}) ${why}; what there is of it stays where it is.`);
      continue;
    }
    await tx
      .insertInto('snapshots')
      .values({
        ...{ id, name, memory, purpose, consistency, project_id: instance.project_id, instance_id: instanceId },
        ...{ host_id: hostId, schedule_id: null, is_protected: isProtected, state: 'available', failure: null },
        disks: JSON.stringify(disks),
        machine_state: JSON.stringify(machineState),
        taken_at: new Date(takenAt),
        created_at: new Date(createdAt),
      })
      .execute();
    for (const clone of clones) {
      const known = await tx.selectFrom('instances').select('id').where('id', '=', clone).executeTakeFirst();
      if (known) await tx.insertInto('linked_clones').values({ instance_id: clone, snapshot_id: id }).execute();
    }
  }
}
