// Rows of volumes: finding them as a project may see them, with the instance that has them, and as callers are told.
import type { DiskDriver, DiskLimits } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId, VolumeId } from '@virga/contract/ids';
import type { Volume } from '@virga/contract/rest/volumes';
import { type Selectable, sql } from 'kysely';
import type { ProjectAccess, WriteAccess } from '../../access/authorizer.ts';
import type { Db, Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import type { Database } from '../../store/schema.ts';
import { createOperation } from '../operations/operation-store.ts';
import { volumeState } from './volume.ts';

export type VolumeRow = Selectable<Database['volumes']>;

export type VolumeView = VolumeRow & {
  host_name: string;
  attachment: {
    instanceId: InstanceId;
    instanceName: string;
    target: string;
    readOnly: boolean;
    limits: DiskLimits | null;
    driver: DiskDriver | null;
  } | null;
};

export const selectVolumes = (db: Db | Tx) =>
  db
    .selectFrom('volumes')
    .innerJoin('hosts', 'hosts.id', 'volumes.host_id')
    .selectAll('volumes')
    .select([
      'hosts.name as host_name',
      sql<VolumeView['attachment']>`(
        select json_build_object('instanceId', a.instance_id, 'instanceName', i.name, 'target', a.target,
          'readOnly', a.read_only, 'limits', a.limits, 'driver', a.driver)
        from volume_attachments a join instances i on i.id = a.instance_id where a.volume_id = volumes.id)`.as(
        'attachment',
      ),
    ]);

export async function findVolume(db: Db | Tx, id: VolumeId): Promise<VolumeView | undefined> {
  return selectVolumes(db).where('volumes.id', '=', id).executeTakeFirst();
}

/** A volume of the project, by id or name, held against other changes. @throws NotFound */
export async function holdVolume(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  idOrName: string,
  field?: string,
): Promise<VolumeView> {
  const row = await tx
    .selectFrom('volumes')
    .select('id')
    .where('project_id', '=', access.projectId)
    .where((where) => where.or([where('id', '=', idOrName as VolumeId), where('name', '=', idOrName)]))
    .orderBy((by) => by('id', '=', idOrName as VolumeId), 'desc')
    .limit(1)
    .forUpdate()
    .executeTakeFirst();
  const volume = row && (await findVolume(tx, row.id));
  if (volume === undefined) throw volumeNotFound(idOrName, field);
  return volume;
}

/**
 * Asks for the end of a volume that nobody has, or will have at the end of the transaction.
 * @returns the operation that follows it
 */
export async function deleteVolumeRow(tx: Tx, access: WriteAccess, row: VolumeRow): Promise<OperationId> {
  const generation = row.generation + 1;
  const operationId = await createOperation(tx, access, { kind: 'volume.delete', ...resourceOf(row), generation });
  await tx
    .updateTable('volumes')
    .set({ desired: 'deleted', generation, failure: null })
    .where('id', '=', row.id)
    .execute();
  await wakeVolume(tx, row.id);
  return operationId;
}

/** Sent when, and only when, the transaction commits. */
export const wakeVolume = (tx: Tx, id: VolumeId): Promise<void> => notify(tx, 'volumes', id);

export const resourceOf = (row: Pick<VolumeRow, 'project_id' | 'id' | 'name'>) => ({
  projectId: row.project_id,
  resourceId: row.id,
  resourceName: row.name,
});

export function volumeNotFound(idOrName: string, field?: string): VirgaError {
  return new VirgaError('NotFound', {
    detail: `There is no volume ${idOrName}.`,
    action: 'List volumes with virga volumes list, or create one with virga volumes create.',
    field,
  });
}

export function toVolume(row: VolumeView): Volume {
  return {
    id: row.id,
    projectId: row.project_id,
    name: row.name,
    sizeBytes: row.size_bytes,
    scratch: row.scratch,
    state: volumeState(row, row.attachment !== null),
    stateReason: row.failure ? `${row.failure.detail} ${row.failure.action}` : null,
    hostId: row.host_id,
    hostName: row.host_name,
    attachment: row.attachment,
    generation: row.generation,
    createdAt: row.created_at.toISOString(),
  };
}
