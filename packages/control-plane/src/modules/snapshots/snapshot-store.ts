// Rows of snapshots: finding them as a project may see them, as callers are told, and as their host is asked for them.
import type { DesiredSnapshot } from '@virga/contract/agent/snapshots';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, SnapshotId } from '@virga/contract/ids';
import type { Snapshot } from '@virga/contract/rest/snapshots';
import { type Selectable, sql } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Db, Tx } from '../../store/database.ts';
import { hasId, hasIdOrName } from '../../store/named.ts';
import type { Database } from '../../store/schema.ts';

export type SnapshotRow = Selectable<Database['snapshots']>;

export type SnapshotView = SnapshotRow & {
  instance_name: string;
  instance_uuid: string;
  domain_name: string;
  clones: string[];
};

export const selectSnapshots = (db: Db | Tx) =>
  db
    .selectFrom('snapshots')
    .innerJoin('instances', 'instances.id', 'snapshots.instance_id')
    .selectAll('snapshots')
    .select([
      'instances.name as instance_name',
      'instances.uuid as instance_uuid',
      'instances.domain_name',
      sql<string[]>`(
        select coalesce(json_agg(i.name order by i.name), '[]'::json)
        from linked_clones c join instances i on i.id = c.instance_id where c.snapshot_id = snapshots.id)`.as('clones'),
    ]);

export const findSnapshot = (db: Db | Tx, id: SnapshotId): Promise<SnapshotView | undefined> =>
  selectSnapshots(db).where('snapshots.id', '=', id).executeTakeFirst();

/** One that people know of, by id or name, held against other changes. @throws NotFound */
export async function holdSnapshot(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  idOrName: string,
  field?: string,
): Promise<SnapshotView> {
  const row = await tx
    .selectFrom('snapshots')
    .select('id')
    .where('project_id', '=', access.projectId)
    .where('purpose', '=', 'kept')
    .where(hasIdOrName(idOrName))
    .orderBy(hasId(idOrName), 'desc')
    .limit(1)
    .forUpdate()
    .executeTakeFirst();
  const snapshot = row && (await findSnapshot(tx, row.id));
  if (snapshot === undefined) throw snapshotNotFound(idOrName, field);
  return snapshot;
}

export const resourceOf = (row: Pick<SnapshotRow, 'project_id' | 'id' | 'name'>) => ({
  projectId: row.project_id,
  resourceId: row.id,
  resourceName: row.name,
});

/** As the agent of its host knows the instance. */
export const instanceOf = (
  row: Pick<SnapshotView, 'instance_id' | 'instance_uuid' | 'domain_name'>,
): DesiredSnapshot['instance'] => ({
  id: row.instance_id,
  uuid: row.instance_uuid,
  domainName: row.domain_name,
});

export function desiredSnapshotOf(row: SnapshotView, cloudId: string): DesiredSnapshot {
  const { id, name, memory, purpose, is_protected: isProtected } = row;
  return {
    ...{ id, cloudId, name, memory, instance: instanceOf(row) },
    // What once was there is not taken anew: one of now would not be what it was.
    mustExist: row.state !== 'creating',
    keepsake: {
      ...{ projectId: row.project_id, purpose, isProtected, createdAt: row.created_at.toISOString() },
      scheduleId: row.schedule_id,
    },
  };
}

export function snapshotNotFound(idOrName: string, field?: string): VirgaError {
  return new VirgaError('NotFound', {
    detail: `There is no snapshot ${idOrName}.`,
    action: 'List snapshots with virga snapshots list, or take one with virga snapshots create.',
    field,
  });
}

/** True while one is being taken or deleted, or the instance put back. */
export async function isBusy(tx: Tx, instanceId: InstanceId): Promise<boolean> {
  const row = await tx
    .selectFrom('snapshots')
    .innerJoin('operations', 'operations.resource_id', 'snapshots.id')
    .select('operations.id')
    .where('snapshots.instance_id', '=', instanceId)
    .where('operations.state', 'in', ['queued', 'running'])
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

export function toSnapshot(row: SnapshotView): Snapshot {
  return {
    id: row.id,
    projectId: row.project_id,
    name: row.name,
    instanceId: row.instance_id,
    instanceName: row.instance_name,
    state: row.state,
    stateReason: row.failure ? `${row.failure.detail} ${row.failure.action}` : null,
    memory: row.memory,
    consistency: row.consistency,
    disks: row.disks,
    machineState: row.machine_state,
    protected: row.is_protected,
    scheduleId: row.schedule_id,
    clones: row.clones,
    takenAt: row.taken_at?.toISOString() ?? null,
    createdAt: row.created_at.toISOString(),
  };
}
