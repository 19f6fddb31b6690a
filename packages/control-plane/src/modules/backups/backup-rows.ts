// Rows of backups: finding them, which rest on which, and what callers are told of them.
import type { DiskChain, StoredDisk } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import type { BackupId, BackupStoreId, InstanceId, VolumeId } from '@virga/contract/ids';
import type { Backup } from '@virga/contract/rest/backups';
import { type Selectable, sql } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Db, Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';

export type BackupRow = Selectable<Database['backups']>;
export type BackupView = BackupRow & { store_name: string };

export const selectBackups = (db: Db | Tx) =>
  db
    .selectFrom('backups')
    .innerJoin('backup_stores', 'backup_stores.id', 'backups.store_id')
    .selectAll('backups')
    .select('backup_stores.name as store_name');

export async function findBackup(db: Db | Tx, id: BackupId): Promise<BackupView | undefined> {
  return selectBackups(db).where('backups.id', '=', id).executeTakeFirst();
}

/** @throws NotFound also for a backup of another project */
export async function requireBackup(db: Db | Tx, access: ProjectAccess, id: BackupId): Promise<BackupView> {
  const row = await findBackup(db, id);
  if (row?.project_id === access.projectId) return row;
  throw new VirgaError('NotFound', {
    detail: `There is no backup ${id}.`,
    action: 'List backups with virga backups list.',
  });
}

/** @throws NotFound | Conflict it is not there yet, or not for long */
export async function requireAvailable(tx: Tx, access: ProjectAccess<'operator'>, id: BackupId): Promise<BackupView> {
  await tx.selectFrom('backups').select('id').where('id', '=', id).forUpdate().execute();
  const row = await requireBackup(tx, access, id);
  if (row.state === 'available') return row;
  throw new VirgaError('Conflict', {
    detail: `The backup ${id} is ${row.state === 'pending' ? 'still being made' : 'being deleted'}.`,
    action: 'Wait until its operation has ended, or name another one.',
  });
}

/** The last backup of an instance in a store since which is recorded what changes. */
export async function findParent(
  db: Db | Tx,
  instanceId: InstanceId,
  storeId: BackupStoreId,
): Promise<BackupRow | undefined> {
  return db
    .selectFrom('backups')
    .selectAll()
    .where('instance_id', '=', instanceId)
    .where('store_id', '=', storeId)
    .where('state', '=', 'available')
    .where('recorded', '=', true)
    .orderBy('taken_at', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** A backup and those that it rests on, the full one first. */
export async function chainOf(db: Db | Tx, id: BackupId): Promise<BackupRow[]> {
  const { rows } = await sql<{ id: BackupId; depth: number }>`
    with recursive chain (id, parent_id, depth) as (
      select id, parent_id, 0 from backups where id = ${id}
      union all
      select b.id, b.parent_id, c.depth + 1 from backups b join chain c on b.id = c.parent_id
    )
    select id, depth from chain`.execute(db);
  const depths = new Map(rows.map((row) => [row.id, row.depth]));
  const chain = await db
    .selectFrom('backups')
    .selectAll()
    .where('id', 'in', [...depths.keys(), id])
    .execute();
  return chain.sort((a, b) => depths.get(b.id)! - depths.get(a.id)!);
}

/** What a disk is put together of. @throws BackupUnusable a part of it is missing */
function diskChain(chain: readonly BackupRow[], diskId: VolumeId): StoredDisk[] {
  const disks = chain.flatMap(({ disks: of }) => of.find(({ id }) => id === diskId) ?? []);
  const first = disks.findLastIndex(({ full }) => full);
  const used = disks.slice(Math.max(0, first));
  if (first >= 0 && used.length > 0) return used;
  throw new VirgaError('BackupUnusable', {
    detail: `Nothing in the backup has the whole of the disk ${diskId}.`,
    action: 'Restore another backup, and make a full one.',
  });
}

/** Every disk of a backup with what it is put together of. */
export const diskChains = (chain: readonly BackupRow[]): (StoredDisk & { chain: DiskChain })[] =>
  chain.at(-1)!.disks.map((disk) => ({ ...disk, chain: diskChain(chain, disk.id) }));

export const snapshotsOf = ({ settings_snapshot_id: settings, disks }: BackupRow): string[] => [
  ...(settings === null ? [] : [settings]),
  ...disks.map(({ snapshotId }) => snapshotId),
];

export const resourceOf = (row: Pick<BackupRow, 'project_id' | 'id' | 'instance_name'>) => ({
  projectId: row.project_id,
  resourceId: row.id,
  resourceName: row.instance_name,
});

export function toBackup(row: BackupView): Backup {
  return {
    id: row.id,
    projectId: row.project_id,
    storeId: row.store_id,
    storeName: row.store_name,
    instanceId: row.instance_id,
    instanceName: row.instance_name,
    scheduleId: row.schedule_id,
    state: row.state,
    parentId: row.parent_id,
    fullReason: row.full_reason,
    frozen: row.frozen,
    takenAt: row.taken_at?.toISOString() ?? null,
    disks: row.disks.map(({ id, role, sizeBytes, dataBytes }) => ({ id, role, sizeBytes, dataBytes })),
    addedBytes: row.added_bytes,
    verified: row.verified,
    openUntil: row.opened ? (row.opened_until?.toISOString() ?? null) : null,
    createdAt: row.created_at.toISOString(),
  };
}
