// Snapshots of a lost database, the schedules that take them, and the clones that rest on them.

import type { Inventory } from '@virga/contract/agent/inventory';
import type { ObservedSnapshot } from '@virga/contract/agent/snapshots';
import type { HostId, InstanceId, ScheduleId, UserId } from '@virga/contract/ids';
import { firstRun } from '../modules/instances/instance-schedule.ts';
import type { Tx } from '../store/database.ts';
import { keptHostOf } from './recovered-hosts.ts';

type Kept = {
  purpose?: 'kept' | 'clone';
  isProtected?: boolean;
  createdAt?: string;
  scheduleId?: ScheduleId | null;
};

/**
 * After the instances, and before the snapshots. @returns how many
 * @param userId on whose behalf they run: who asked for them is lost
 */
export async function recoverSnapshotSchedules(
  tx: Tx,
  part: Pick<Inventory, 'keepsakes'>,
  { userId, leftAlone }: { userId: UserId | null; leftAlone: string[] },
): Promise<number> {
  let count = 0;
  for (const { created_at, ...row } of keptHostOf(part)?.snapshotSchedules ?? []) {
    const instance = await tx
      .selectFrom('instances')
      .select('id')
      .where('id', '=', row.instance_id as InstanceId)
      .executeTakeFirst();
    if (!instance) {
      leftAlone.push(`A schedule of snapshots, ${row.id}, is of an instance that is not there.`);
      continue;
    }
    const next = firstRun({ cron: row.cron, timeZone: row.time_zone }, new Date());
    await tx
      .insertInto('snapshot_schedules')
      .values({ ...row, created_at: new Date(created_at), next_run_at: next, user_id: userId })
      .execute();
    count++;
  }
  return count;
}

/** What its host was told of it after it was taken. */
function markOf({ keepsakes }: Pick<Inventory, 'keepsakes'>, { id, takenAt }: ObservedSnapshot): Kept {
  const marks = keptHostOf({ keepsakes })?.snapshotMarks;
  // One of before, or of an earlier version, says nothing of it.
  if (marks === undefined || keepsakes[0]!.keptAt < takenAt) return {};
  const mark = marks.find((one) => one.id === id);
  return { ...(mark && { purpose: mark.purpose }), isProtected: mark?.is_protected ?? false };
}

/** After the instances. One that belongs to none that is known stays on its host. */
export async function recoverSnapshots(
  tx: Tx,
  part: Pick<Inventory, 'keepsakes'> & { id: HostId; snapshots: readonly ObservedSnapshot[] },
  leftAlone: string[],
): Promise<void> {
  const hostId = part.id;
  for (const snapshot of part.snapshots) {
    const { id, instanceId, keepsake, memory, machineState, consistency, disks, takenAt, intact, clones } = snapshot;
    const taken = keepsake as Kept;
    const { createdAt = takenAt } = taken;
    const { purpose = 'kept', isProtected = false } = { ...taken, ...markOf(part, snapshot) };
    // Of one that was deleted while clones rested on it the name is free, and no schedule counts it.
    const isHidden = purpose === 'clone';
    const [name, scheduleId] = isHidden ? [id, null] : [snapshot.name, taken.scheduleId];
    const instance = await tx
      .selectFrom('instances')
      .select('project_id')
      .where('id', '=', instanceId)
      .executeTakeFirst();
    if (!instance || !intact) {
      const why = intact
        ? 'is of an instance that nothing else tells of; what there is of it stays where it is'
        : 'has lost a file, or was being deleted; the next server removes what there is of it';
      leftAlone.push(`Snapshot ${name} (${id}) ${why}.`);
      continue;
    }
    const schedule = await tx
      .selectFrom('snapshot_schedules')
      .select('id')
      .where('id', '=', scheduleId ?? ('' as ScheduleId))
      .executeTakeFirst();
    await tx
      .insertInto('snapshots')
      .values({
        ...{ id, name, memory, purpose, consistency, project_id: instance.project_id, instance_id: instanceId },
        ...{
          host_id: hostId,
          schedule_id: schedule?.id ?? null,
          is_protected: isProtected,
          state: 'available',
          failure: null,
        },
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
