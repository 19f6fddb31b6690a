// What fronts call to read, make and delete the schedules that back instances up.
import { VirgaError } from '@virga/contract/errors';
import { type InstanceId, newId, type ScheduleId } from '@virga/contract/ids';
import type { BackupSchedule, CreateBackupSchedule } from '@virga/contract/rest/backups';
import type { Selectable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import type { Database } from '../../store/schema.ts';
import { holdInstanceNamed } from '../instances/hold-instance-named.ts';
import { firstRun } from '../instances/instance-schedule.ts';
import { refuseImpossible } from './backup-operations.ts';
import { defaultRetention } from './retention.ts';
import { resolveStore } from './store-rows.ts';

type ScheduleView = Selectable<Database['backup_schedules']> & { store_name: string; instance_name: string };

const defaultChainLimit = 14;

const selectSchedules = (db: Db | Tx) =>
  db
    .selectFrom('backup_schedules')
    .innerJoin('backup_stores', 'backup_stores.id', 'backup_schedules.store_id')
    .innerJoin('instances', 'instances.id', 'backup_schedules.instance_id')
    .selectAll('backup_schedules')
    .select(['backup_stores.name as store_name', 'instances.name as instance_name']);

export async function listBackupSchedules(
  db: Db,
  access: ProjectAccess,
  { instance, ...page }: PageRequest & { instance?: string | undefined },
): Promise<{ items: BackupSchedule[]; next?: string }> {
  let query = selectSchedules(db).where('backup_schedules.project_id', '=', access.projectId);
  if (instance !== undefined) {
    query = query.where((where) =>
      where.or([where('instances.id', '=', instance as InstanceId), where('instances.name', '=', instance)]),
    );
  }
  return fetchPage(query, 'backup_schedules', page, (row) => toSchedule(row as ScheduleView));
}

/** @throws NotFound instance or store | Conflict it cannot be backed up there | InvalidArgument @see firstRun */
export async function createBackupSchedule(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  body: CreateBackupSchedule,
): Promise<BackupSchedule> {
  const { cron, timeZone = 'UTC', retention = defaultRetention, chainLimit = defaultChainLimit, freeze = true } = body;
  const nextRunAt = firstRun({ cron, timeZone }, deps.clock.now());
  return inTransaction(deps.db, async (tx) => {
    const instance = await holdInstanceNamed(tx, access, body.instance);
    const store = await resolveStore(tx, body.store);
    // Else each run would be refused, at night, and nobody would be told but by an event.
    await refuseImpossible(tx, instance, store.id);
    const id = newId('schedule');
    await tx
      .insertInto('backup_schedules')
      .values({
        ...{ id, project_id: access.projectId, instance_id: instance.id, store_id: store.id, cron },
        ...{ time_zone: timeZone, retention: JSON.stringify(retention), chain_limit: chainLimit, freezes: freeze },
        ...{ next_run_at: nextRunAt, user_id: access.actor.userId, user_name: access.actor.name },
      })
      .execute();
    await appendEvent(tx, access, {
      ...{ type: 'backup.schedule-created', projectId: access.projectId, resourceId: instance.id },
      resourceName: instance.name,
      message: `Instance ${instance.name} is to be backed up by the clock: ${cron} (${timeZone}).`,
      data: { schedule: id, cron, timeZone, retention },
    });
    await notify(tx, 'due');
    await notify(tx, 'keepsakes', instance.host_id);
    const row = await selectSchedules(tx).where('backup_schedules.id', '=', id).executeTakeFirstOrThrow();
    return toSchedule(row);
  });
}

/** @throws NotFound */
export async function deleteBackupSchedule(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: ScheduleId,
): Promise<Record<string, never>> {
  return inTransaction(deps.db, async (tx) => {
    const row = await selectSchedules(tx)
      .where('backup_schedules.id', '=', id)
      .where('backup_schedules.project_id', '=', access.projectId)
      .executeTakeFirst();
    if (!row) {
      throw new VirgaError('NotFound', {
        detail: `There is no backup schedule ${id}.`,
        action: 'List them with virga backups schedules.',
      });
    }
    await tx.deleteFrom('backup_schedules').where('id', '=', id).execute();
    await notify(tx, 'keepsakes');
    await appendEvent(tx, access, {
      ...{ type: 'backup.schedule-deleted', projectId: access.projectId, resourceId: row.instance_id },
      resourceName: row.instance_name,
      message: `Instance ${row.instance_name} is no longer to be backed up by the clock: ${row.cron} (${row.time_zone}).`,
      data: { schedule: id },
    });
    return {};
  });
}

function toSchedule(row: ScheduleView): BackupSchedule {
  return {
    id: row.id,
    instanceId: row.instance_id,
    instanceName: row.instance_name,
    storeId: row.store_id,
    storeName: row.store_name,
    cron: row.cron,
    timeZone: row.time_zone,
    retention: row.retention,
    chainLimit: row.chain_limit,
    nextRunAt: row.next_run_at.toISOString(),
    createdBy: row.user_name,
    createdAt: row.created_at.toISOString(),
  };
}
