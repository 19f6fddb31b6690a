// Rows of volumes: finding them as a project may see them, with the instance that has them, and as callers are told.
import type { DiskDriver, DiskLimits } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { HostId, InstanceId, OperationId, VolumeId } from '@virga/contract/ids';
import type { Volume } from '@virga/contract/rest/volumes';
import { type Selectable, sql } from 'kysely';
import type { ProjectAccess, WriteAccess } from '../../access/authorizer.ts';
import type { Db, Tx } from '../../store/database.ts';
import { hasId, hasIdOrName } from '../../store/named.ts';
import { notify } from '../../store/notifications.ts';
import type { Database } from '../../store/schema.ts';
import { createOperation } from '../operations/operation-store.ts';
import { volumeState } from './volume.ts';

export type VolumeRow = Selectable<Database['volumes']>;

export type VolumeView = VolumeRow & {
  host_name: string;
  pool_name: string;
  pool_driver: Selectable<Database['pools']>['driver'];
  attachment: {
    instanceId: InstanceId;
    instanceName: string;
    target: string;
    readOnly: boolean;
    limits: DiskLimits | null;
    driver: DiskDriver | null;
  } | null;
  move: Volume['move'];
};

export const selectVolumes = (db: Db | Tx) =>
  db
    .selectFrom('volumes')
    .innerJoin('hosts', 'hosts.id', 'volumes.host_id')
    .innerJoin('pools', 'pools.id', 'volumes.pool_id')
    .selectAll('volumes')
    .select([
      'hosts.name as host_name',
      'pools.name as pool_name',
      'pools.driver as pool_driver',
      sql<VolumeView['attachment']>`(
        select json_build_object('instanceId', a.instance_id, 'instanceName', i.name, 'target', a.target,
          'readOnly', a.read_only, 'limits', a.limits, 'driver', a.driver)
        from volume_attachments a join instances i on i.id = a.instance_id where a.volume_id = volumes.id)`.as(
        'attachment',
      ),
      sql<VolumeView['move']>`(
        select json_build_object('poolId', m.pool_id, 'poolName', p.name, 'operationId', m.operation_id)
        from volume_moves m join pools p on p.id = m.pool_id where m.volume_id = volumes.id)`.as('move'),
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
    .where(hasIdOrName(idOrName))
    .orderBy(hasId(idOrName), 'desc')
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
export async function deleteVolumeRow(
  tx: Tx,
  access: WriteAccess,
  row: VolumeRow,
  { wipe = false }: { wipe?: boolean } = {},
): Promise<OperationId> {
  const generation = row.generation + 1;
  const operationId = await createOperation(tx, access, { kind: 'volume.delete', ...resourceOf(row), generation });
  await tx
    .updateTable('volumes')
    .set({ desired: 'deleted', generation, failure: null, wipe })
    .where('id', '=', row.id)
    .execute();
  await wakeVolume(tx, row.id);
  return operationId;
}

/**
 * A volume in a pool that several hosts see goes with its instance: from now on that host looks after it.
 * @returns false when the host does not have its pool
 */
export async function moveVolumeToHost(
  tx: Tx,
  _access: WriteAccess,
  row: VolumeView,
  hostId: HostId,
): Promise<boolean> {
  const seen = await tx
    .selectFrom('pool_hosts')
    .select('host_id')
    .where('pool_id', '=', row.pool_id)
    .where('host_id', '=', hostId)
    .where('converged_generation', '>', 0)
    .where('failure', 'is', null)
    .executeTakeFirst();
  if (!seen) return false;
  await tx.updateTable('volumes').set({ host_id: hostId }).where('id', '=', row.id).execute();
  return true;
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
    usedBytes: row.used_bytes,
    poolId: row.pool_id,
    poolName: row.pool_name,
    type: row.type,
    format: row.format,
    preallocation: row.preallocation,
    encrypted: row.passphrase_sealed !== null,
    image: row.image_id && row.clone ? { imageId: row.image_id, clone: row.clone } : null,
    snapshot: row.snapshot && { snapshotId: row.snapshot.id, diskId: row.snapshot.diskId },
    limits: row.limits,
    deletionProtection: row.delete_protection,
    scratch: row.scratch,
    state: volumeState(row, row.attachment !== null),
    stateReason: row.failure ? `${row.failure.detail} ${row.failure.action}` : null,
    hostId: row.host_id,
    hostName: row.host_name,
    attachment: row.attachment,
    move: row.move,
    generation: row.generation,
    createdAt: row.created_at.toISOString(),
  };
}

const longestName = 63;

/** The base with the first of the suffixes that makes it a name which no volume of the project has. */
export async function freeVolumeName(
  tx: Tx,
  projectId: VolumeRow['project_id'],
  base: string,
  suffixOf: (attempt: number) => string,
): Promise<string> {
  const rows = await tx.selectFrom('volumes').select('name').where('project_id', '=', projectId).execute();
  const taken = new Set(rows.map((row) => row.name));
  for (let attempt = 0; ; attempt++) {
    const suffix = suffixOf(attempt);
    const name = `${base.slice(0, longestName - suffix.length)}${suffix}`;
    if (!taken.has(name)) return name;
  }
}
