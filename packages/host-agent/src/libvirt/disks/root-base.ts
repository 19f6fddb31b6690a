// What the first file of a root disk rests on: nothing, its image, the disk of a template, or a snapshot that it was cloned
// from. Asked when a disk is made, and whenever its domain is described.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { InstanceId, SnapshotId } from '@virga/contract/ids';
import { snapshotMissing } from '../../snapshot-conflicts.ts';
import { requireImage } from '../images/image-store.ts';
import { type FolderOwner, instanceFiles, readOwner } from '../instances/instance-folder.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import { readSnapshot } from '../snapshots/snapshot-record.ts';
import type { Storage } from '../storage.ts';
import { templateDisk } from '../warm/template-store.ts';
import { type DiskLayers, formatOfFile, readTree } from './disk-layers.ts';
import { virtualSizeOf } from './layer-file.ts';
import { layerPath } from './layer-names.ts';

type Rests = Pick<FolderOwner, 'templateId' | 'clonedFrom' | 'copied' | 'ceph'>;

/** @throws NotFound it is not on this host */
export async function rootBase(
  storage: Storage,
  desired: Pick<DesiredInstance, 'cloudId' | 'rootDisk'>,
  owner: Rests | undefined,
): Promise<BaseImage | null> {
  if (owner?.copied || desired.rootDisk.clone === 'full') return null;
  // What a clone in Ceph rests on Ceph knows.
  if (owner?.clonedFrom !== undefined && owner.ceph !== undefined) return null;
  if (owner?.clonedFrom !== undefined) return snapshotBase(storage, desired.cloudId, owner.clonedFrom);
  const image = await requireImage(storage, desired);
  if (image === null || owner?.templateId === undefined) return image;
  return templateDisk(storage, { id: owner.templateId, cloudId: desired.cloudId }, image);
}

/** The root disk as a snapshot keeps it, with all that it rests on. @throws NotFound */
export async function snapshotBase(
  storage: Storage,
  cloudId: string,
  { instanceId, snapshotId }: { instanceId: InstanceId; snapshotId: SnapshotId },
): Promise<BaseImage> {
  const record = await readSnapshot(storage, instanceId, snapshotId);
  const owner = await readOwner(storage, instanceId);
  const { rootDisk: firstFile } = instanceFiles(storage, instanceId);
  const layers = (await readTree(firstFile)).snapshots[snapshotId];
  if (record?.cloudId !== cloudId || owner === undefined || layers === undefined) throw snapshotMissing(snapshotId);
  const rootDisk = { id: 'vol-00000000000000000', imageId: owner.imageId, sizeBytes: 0 } as const;
  const base = await rootBase(storage, { cloudId, rootDisk }, owner);
  return layersAsBase(firstFile, layers, base);
}

/**
 * @param base what the first of them rests on
 * @param passphrase of each of them
 */
export async function layersAsBase(
  firstFile: string,
  layers: DiskLayers,
  base: BaseImage | null,
  passphrase?: string,
): Promise<BaseImage> {
  let below = base ?? undefined;
  for (const name of layers) {
    const path = layerPath(firstFile, name);
    const virtualSizeBytes = await virtualSizeOf(path);
    below = { path, format: formatOfFile(path), virtualSizeBytes, isLayer: true, passphrase, base: below };
  }
  return below!;
}
