// What a volume that is made from a snapshot has in it at first: which disk of which snapshot. Until it is made, the snapshot
// and its instance stay. Snapshots belong to a module that comes later; here they are only read.
import type { SnapshotDisk } from '@virga/contract/agent/snapshots';
import { VirgaError } from '@virga/contract/errors';
import type { HostId, InstanceId, SnapshotId, VolumeId } from '@virga/contract/ids';
import type { CreateVolume } from '@virga/contract/rest/volumes';
import { type Selectable, sql } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Tx } from '../../store/database.ts';
import { hasId, hasIdOrName } from '../../store/named.ts';
import type { Database } from '../../store/schema.ts';

export type SnapshotOrigin = {
  disk: SnapshotDisk;
  /** Of the snapshot. */
  name: string;
  hostId: HostId;
  sizeBytes: number;
  /** As it is now: a disk is so from its beginning to its end. */
  encrypted: boolean;
};

/** The snapshot is held against being deleted. @throws NotFound | Conflict it cannot be used now | InvalidArgument */
export async function holdSnapshotDisk(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  { snapshot, disk }: Pick<CreateVolume, 'snapshot' | 'disk'>,
): Promise<SnapshotOrigin | undefined> {
  if (snapshot === undefined) {
    if (disk === undefined) return undefined;
    throw new VirgaError('InvalidArgument', {
      detail: 'There is no snapshot to take a disk of.',
      action: 'Name the snapshot, or leave out the disk.',
      field: '/disk',
    });
  }
  const row = await tx
    .selectFrom('snapshots')
    .select(['id', 'name', 'instance_id', 'host_id', 'state', 'disks'])
    .where('project_id', '=', access.projectId)
    .where('purpose', '=', 'kept')
    .where(hasIdOrName(snapshot))
    .orderBy(hasId(snapshot), 'desc')
    .limit(1)
    .forUpdate()
    .executeTakeFirst();
  if (!row) {
    throw new VirgaError('NotFound', {
      detail: `There is no snapshot ${snapshot}.`,
      action: 'List snapshots with virga snapshots list.',
      field: '/snapshot',
    });
  }
  if (row.state !== 'available') {
    throw new VirgaError('Conflict', {
      detail: `Snapshot ${row.name} cannot be used: it is ${row.state === 'creating' ? 'still being taken' : row.state}.`,
      action: row.state === 'creating' ? 'Wait until that has ended.' : 'Choose another snapshot.',
      field: '/snapshot',
    });
  }
  const found = await chosen(tx, access, row, disk);
  return {
    disk: { id: row.id, instanceId: row.instance_id, diskId: found.id },
    name: row.name,
    hostId: row.host_id,
    sizeBytes: found.sizeBytes,
    encrypted: await isEncrypted(tx, found.id),
  };
}

async function isEncrypted(tx: Tx, id: VolumeId): Promise<boolean> {
  const row = await tx.selectFrom('volumes').select('passphrase_sealed').where('id', '=', id).executeTakeFirst();
  return row !== undefined && row.passphrase_sealed !== null;
}

type Disk = Selectable<Database['snapshots']>['disks'][number];

/** By its place in the guest, its id, or the name of the volume; the root disk by default. */
async function chosen(
  tx: Tx,
  { projectId }: ProjectAccess<'operator'>,
  { name, disks }: { name: string; disks: Disk[] },
  wanted: string | undefined,
): Promise<Disk> {
  const named =
    wanted === undefined
      ? undefined
      : await tx
          .selectFrom('volumes')
          .select('id')
          .where('project_id', '=', projectId)
          .where('name', '=', wanted)
          .executeTakeFirst();
  const found =
    wanted === undefined
      ? disks[0]
      : disks.find(({ id, target }) => id === wanted || target === wanted || id === named?.id);
  if (found) return found;
  throw new VirgaError('NotFound', {
    detail: `Snapshot ${name} is not of a disk ${wanted}: it has ${disks.map(({ id, target }) => target ?? id).join(', ')}.`,
    action: `See virga snapshots show ${name}.`,
    field: '/disk',
  });
}

/** Names of volumes that are still being made of a snapshot, or of any of an instance. */
export async function volumesMadeOf(
  tx: Tx,
  of: { snapshotId: SnapshotId } | { instanceId: InstanceId },
): Promise<string[]> {
  const rows = await tx
    .selectFrom('volumes')
    .select('name')
    .where('snapshot', 'is not', null)
    .where('converged_generation', '=', 0)
    .where(
      'snapshotId' in of
        ? sql<boolean>`snapshot ->> 'id' = ${of.snapshotId}`
        : sql<boolean>`snapshot ->> 'instanceId' = ${of.instanceId}`,
    )
    .orderBy('name')
    .execute();
  return rows.map(({ name }) => name);
}
