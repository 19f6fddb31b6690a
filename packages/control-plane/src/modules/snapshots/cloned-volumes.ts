// Volumes that a clone of an instance gets: copies of those that the snapshot has which it is made from, so that all disks are of
// one moment. A volume may outlive its instance and go to another one, so it rests on nothing, also in a linked clone. One that
// cannot be made ends the launch of the clone, and goes with it, as do the others.
import type { DiskDriver, DiskLimits } from '@virga/contract/agent/desired';
import { type InstanceId, newId, type VolumeId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import { freeTarget } from '../instances/instance-devices.ts';
import type { InstanceRow } from '../instances/instance-store.ts';
import { newPassphrase } from '../volumes/volume-keys.ts';
import { requirePoolRoom } from '../volumes/volume-room.ts';
import { freeVolumeName, resourceOf, wakeVolume } from '../volumes/volume-store.ts';
import type { SnapshotView } from './snapshot-store.ts';
import { conflict } from './snapshot-subject.ts';

export type ClonedVolume = {
  id: VolumeId;
  sourceId: VolumeId;
  target: string;
  limits: DiskLimits | null;
  driver: DiskDriver | null;
};

const field = '/volumes';

/**
 * @param given the snapshot that is cloned; undefined: the instance as it is now
 * @throws Conflict one of them cannot be cloned | StorageFull
 */
export async function planVolumes(
  tx: Tx,
  source: InstanceRow,
  given: SnapshotView | undefined,
): Promise<ClonedVolume[]> {
  const attached = source.volumes.filter(({ detaching }) => !detaching);
  const readOnly = attached.find((volume) => volume.readOnly);
  if (given === undefined && readOnly) {
    throw conflict(
      `Volume ${readOnly.name} is attached to ${source.name} read only, and a snapshot does not have such a one.`,
      'Clone it without its volumes (--without-volumes), or detach that one first.',
      field,
    );
  }
  const wanted = given === undefined ? attached : given.disks.slice(1);
  const planned: ClonedVolume[] = [];
  for (const { id, target } of wanted) {
    const now = source.volumes.find((volume) => volume.id === id);
    planned.push({
      ...{ id: newId('volume'), sourceId: id, limits: now?.limits ?? null, driver: now?.driver ?? null },
      // Who wrote the snapshot down may not have known it.
      target:
        now?.target ?? target ?? freeTarget({ volumes: [...source.volumes, ...planned] as InstanceRow['volumes'] }),
    });
  }
  await requireRoom(tx, planned);
  return planned;
}

async function requireRoom(tx: Tx, planned: readonly ClonedVolume[]): Promise<void> {
  if (planned.length === 0) return;
  const ids = planned.map(({ sourceId }) => sourceId);
  const pools = await tx
    .selectFrom('volumes')
    .select((select) => ['pool_id', select.fn.sum<number>('size_bytes').as('bytes')])
    .where('id', 'in', ids)
    .groupBy('pool_id')
    .orderBy('pool_id')
    .execute();
  for (const { pool_id: id, bytes } of pools) {
    await requirePoolRoom(tx, id, { addBytes: Number(bytes), takenBytes: 0 }, field);
  }
}

/** Writes them down, with the instance that has them. @throws StorageFull */
export async function insertVolumes(
  { seal }: Pick<Deps, 'seal'>,
  tx: Tx,
  access: SystemAccess,
  clone: { id: InstanceId; name: string },
  { snapshot, source, planned }: { snapshot: SnapshotView; source: InstanceRow; planned: readonly ClonedVolume[] },
): Promise<void> {
  await requireRoom(tx, planned);
  for (const { id, sourceId, target, limits, driver } of planned) {
    const like = await tx
      .selectFrom('volumes')
      .select([
        'name',
        'size_bytes',
        'scratch',
        'pool_id',
        'type',
        'format',
        'preallocation',
        'limits',
        'passphrase_sealed',
      ])
      .where('id', '=', sourceId)
      .executeTakeFirstOrThrow();
    const kept = snapshot.disks.find((disk) => disk.id === sourceId);
    const row = { id, project_id: source.project_id, name: await freeName(tx, source, clone.name, like.name) };
    await tx
      .insertInto('volumes')
      .values({
        ...like,
        ...row,
        ...{ host_id: snapshot.host_id, size_bytes: kept?.sizeBytes ?? like.size_bytes },
        snapshot: JSON.stringify({ id: snapshot.id, instanceId: snapshot.instance_id, diskId: sourceId }),
        limits: like.limits && JSON.stringify(like.limits),
        // Each has a key of its own.
        passphrase_sealed: like.passphrase_sealed && newPassphrase(seal, id),
        ...{ image_id: null, clone: null, used_bytes: null, failure: null },
      })
      .execute();
    await tx
      .insertInto('volume_attachments')
      .values({
        ...{ volume_id: id, instance_id: clone.id, target, read_only: false, generation: 1 },
        limits: limits && JSON.stringify(limits),
        driver: driver && JSON.stringify(driver),
        // Until the clone is there: with one that cannot be made they go.
        delete_with_instance: true,
      })
      .execute();
    await appendEvent(tx, access, {
      type: 'volume.cloned',
      ...resourceOf(row),
      message: `Volume ${row.name} of instance ${clone.name} was cloned from ${like.name}.`,
      data: { source: sourceId, instanceId: clone.id },
    });
    await wakeVolume(tx, id);
  }
}

/** The data of web is called web-data, or data: that of its clone, test-data. */
function freeName(tx: Tx, source: InstanceRow, clone: string, name: string): Promise<string> {
  const own = name.startsWith(`${source.name}-`) ? name.slice(source.name.length + 1) : name;
  return freeVolumeName(tx, source.project_id, `${clone}-${own}`, (attempt) =>
    attempt === 0 ? '' : `-${attempt + 1}`,
  );
}
