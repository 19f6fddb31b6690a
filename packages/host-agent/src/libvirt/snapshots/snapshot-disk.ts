// A disk as a snapshot keeps it, for what is made of it: the root disk, or one of the volumes that the instance had. Reads
// only; who uses it sees to it that the snapshot stays.
import type { SnapshotDisk } from '@virga/contract/agent/snapshots';
import { diskMissing, snapshotMissing } from '../../snapshot-conflicts.ts';
import { readTree } from '../disks/disk-layers.ts';
import { layersAsBase, snapshotBase } from '../disks/root-base.ts';
import { findImage } from '../images/image-store.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import type { Storage } from '../storage.ts';
import { readVolume } from '../volumes/volume-folder.ts';
import { readSnapshot } from './snapshot-record.ts';

/** With all that it rests on. @throws NotFound the snapshot is not there, or is not of that disk */
export async function snapshotDisk(
  storage: Storage,
  cloudId: string,
  { id, instanceId, diskId }: SnapshotDisk,
): Promise<BaseImage> {
  const record = await readSnapshot(storage, instanceId, id);
  if (record?.cloudId !== cloudId) throw snapshotMissing(id);
  const place = record.disks.findIndex((disk) => disk.id === diskId);
  if (place < 0) throw diskMissing(record.name, diskId);
  if (place === 0) return snapshotBase(storage, cloudId, { instanceId, snapshotId: id });
  const { firstFile } = record.disks[place]!;
  const layers = (await readTree(firstFile)).snapshots[id];
  if (layers === undefined) throw snapshotMissing(id);
  const source = (await readVolume(storage, diskId))?.source;
  const image = source?.clone === 'linked' ? await findImage(storage, source.imageId) : undefined;
  return layersAsBase(firstFile, layers, image ?? null);
}
