// A disk as a snapshot keeps it, for what is made of it: the root disk, or one of the volumes that the instance had. Reads
// only; who uses it sees to it that the snapshot stays.
import type { SnapshotDisk } from '@virga/contract/agent/snapshots';
import { diskMissing, snapshotMissing } from '../../snapshot-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { readTree } from '../disks/disk-layers.ts';
import { layersAsBase, snapshotBase } from '../disks/root-base.ts';
import { findImage } from '../images/image-store.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import { readVolume } from '../volumes/volume-folder.ts';
import { passphraseOf } from '../volumes/volume-passphrase.ts';
import { rbdPool } from './ceph-disks.ts';
import { cephDisksOf, filesOf, readSnapshot } from './snapshot-record.ts';

type Context = Pick<AgentContext, 'storage' | 'passphrases'>;

/** Gives a disk, with all that it rests on, to who copies it. */
export type OpenDisk = <T>(use: (image: BaseImage) => Promise<T>) => Promise<T>;

/** @throws NotFound the snapshot is not there, or is not of that disk; or the host has no key of it | PoolUnusable */
export async function snapshotDisk(context: Context, cloudId: string, disk: SnapshotDisk): Promise<OpenDisk> {
  const { id, instanceId, diskId } = disk;
  const { storage } = context;
  const record = await readSnapshot(storage, instanceId, id);
  if (record?.cloudId !== cloudId) throw snapshotMissing(id);
  const inCeph = cephDisksOf(record).find((one) => one.id === diskId);
  if (inCeph !== undefined) {
    const pool = await rbdPool(storage, inCeph.poolId);
    const passphrase = await passphraseOf(context, diskId);
    const image = { path: pool.imageName(diskId), format: 'raw' as const, virtualSizeBytes: inCeph.sizeBytes };
    return (use) => pool.withSnapshot(diskId, id, (remote) => use({ ...image, passphrase, remote }));
  }
  const file = filesOf(record).find((one) => one.id === diskId);
  if (file === undefined) throw diskMissing(record.name, diskId);
  const isRoot = record.disks[0] === file;
  const image = isRoot
    ? await snapshotBase(storage, cloudId, { instanceId, snapshotId: id })
    : await keptVolume(context, disk, file.firstFile);
  return (use) => use(image);
}

async function keptVolume(
  context: Context,
  { id, diskId }: Pick<SnapshotDisk, 'id' | 'diskId'>,
  firstFile: string,
): Promise<BaseImage> {
  const { storage } = context;
  const layers = (await readTree(firstFile)).snapshots[id];
  if (layers === undefined) throw snapshotMissing(id);
  const source = (await readVolume(storage, diskId))?.source;
  const image = source?.clone === 'linked' ? await findImage(storage, source.imageId) : undefined;
  return layersAsBase(firstFile, layers, image ?? null, await passphraseOf(context, diskId));
}
