// What lies in a store with a backup so that it can be restored where nothing knows of it, as after the database was lost, and the row
// that is made of it. The machine is not looked at closely: it is as old as the backup.
import type { StoredBackup } from '@virga/contract/agent/backups';
import { conforms } from '@virga/contract/agent/conforms';
import { type HostId, IdSchema, type ProjectId } from '@virga/contract/ids';
import { BackedUpMachine } from '@virga/contract/rest/backups';
import { type Static, Type } from 'typebox';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { Db, Tx } from '../../store/database.ts';
import { keptProject } from '../projects/kept-project.ts';
import { adoptProject } from '../projects/project-operations.ts';
import type { BackupRow } from './backup-rows.ts';
import type { StoreRow } from './store-rows.ts';

const KeptBackup = Type.Object({
  project: Type.Object({
    id: IdSchema('project'),
    name: Type.String(),
    description: Type.String(),
    createdAt: Type.String(),
  }),
  hostId: IdSchema('host'),
  instanceId: IdSchema('instance'),
  instanceName: Type.String(),
  scheduleId: Type.Union([IdSchema('schedule'), Type.Null()]),
  full: Type.Boolean(),
  freezes: Type.Boolean(),
  createdAt: Type.String(),
  machine: Type.Intersect([
    Type.Pick(BackedUpMachine, ['type', 'networks', 'volumes']),
    Type.Record(Type.String(), Type.Unknown()),
  ]),
});

export async function keptBackup(db: Db, row: BackupRow): Promise<Static<typeof KeptBackup>> {
  const { project } = await db
    .selectFrom('backups')
    .select(keptProject('backups').as('project'))
    .where('id', '=', row.id)
    .executeTakeFirstOrThrow();
  return {
    project: { ...project, id: row.project_id },
    ...{ hostId: row.host_id, instanceId: row.instance_id, instanceName: row.instance_name, machine: row.machine },
    ...{ scheduleId: row.schedule_id, full: row.full_asked, freezes: row.freezes },
    createdAt: row.created_at.toISOString(),
  };
}

export type Whereto = { store: StoreRow; hostIds: readonly HostId[]; projectId: ProjectId };

/**
 * Writes a backup down that was found in a store. One whose project is not here comes into the given one, unless it is of this cloud.
 * @returns whether it says what is needed
 */
export async function insertStored(
  tx: Tx,
  access: SystemAccess,
  { cloudId }: Pick<Deps, 'cloudId'>,
  { made, keepsake, parentId, cloudId: madeBy }: StoredBackup,
  { store, hostIds, projectId }: Whereto,
): Promise<boolean> {
  if (!conforms(KeptBackup, keepsake)) return false;
  const { project, hostId, instanceId, instanceName, scheduleId, machine } = keepsake;
  const hostOfStore = store.host_id ?? (hostIds.includes(hostId) ? hostId : hostIds[0]);
  if (hostOfStore === undefined) return false;
  const instance = await tx.selectFrom('instances').select('id').where('id', '=', instanceId).executeTakeFirst();
  const schedule = await tx
    .selectFrom('backup_schedules')
    .select('id')
    .where('id', '=', scheduleId)
    .where('store_id', '=', store.id)
    .executeTakeFirst();
  await tx
    .insertInto('backups')
    .values({
      ...{ id: made.id, store_id: store.id, instance_id: instanceId, instance_name: instanceName },
      project_id: await adoptProject(tx, access, project, madeBy === cloudId ? null : projectId),
      ...{ host_id: hostOfStore, schedule_id: schedule?.id ?? null, state: 'available', parent_id: parentId },
      ...{ full_asked: keepsake.full, freezes: keepsake.freezes, full_reason: made.fullReason, frozen: made.frozen },
      // Whether it is so the host knows.
      recorded: instance !== undefined && made.fullReason !== 'off',
      ...{ taken_at: new Date(made.takenAt), created_at: new Date(keepsake.createdAt) },
      ...{ disks: JSON.stringify(made.disks), settings_snapshot_id: made.settingsSnapshotId },
      ...{ added_bytes: made.addedBytes, machine: JSON.stringify(machine) },
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return true;
}
