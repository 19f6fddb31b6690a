// The disks of a domain that are ours, as its XML has them: the root disk and volumes, each with the file that the guest
// writes to now. What others have plugged in is not among them, nor what the guest cannot write to.
import { basename, dirname } from 'node:path';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { isId, type VolumeId } from '@virga/contract/ids';
import { instanceFiles } from '../instances/instance-folder.ts';
import { firstFileOf } from '../pools/directory-pool.ts';
import type { Storage } from '../storage.ts';
import { readVolume } from '../volumes/volume-folder.ts';
import { volumeSecretUuid } from '../volumes/volume-secret.ts';
import { childAt, childrenOf, parseXml, type XmlElement } from '../xml.ts';
import type { DiskSource } from './disk-source.ts';
import { isLayerName } from './layer-names.ts';

export type DomainDisk = {
  id: VolumeId;
  /** Such as vda. */
  target: string;
  /** Path of the file that the disk was made as. */
  firstFile: string;
  /** Path of the file that is written to. */
  file: string;
  /** Of each of its files. */
  encryption?: DiskSource['encryption'];
  /** Paths of all that it rests on, from above, as far as the XML says. */
  below: string[];
};

export type FoundDisks = {
  /** The root disk first. */
  disks: DomainDisk[];
  /** Volumes that nothing can be put on, each with why. One in Ceph with where the guest has it. */
  unfit: { id: VolumeId; why: string; cephTarget?: string }[];
};

const inCeph = 'it lies in a Ceph pool';

/** @param xml of the running domain, or its definition */
export async function findDisks(
  storage: Storage,
  { id, rootDisk }: Pick<DesiredInstance, 'id' | 'rootDisk'>,
  xml: string,
): Promise<FoundDisks> {
  const found: FoundDisks = { disks: [], unfit: [] };
  for (const disk of childrenOf(childAt(parseXml(xml), 'devices'), 'disk')) {
    if ((disk.attributes.device ?? 'disk') !== 'disk' || childAt(disk, 'readonly') !== undefined) continue;
    const { file, name } = childAt(disk, 'source')?.attributes ?? {};
    const shape = { target: childAt(disk, 'target')?.attributes.dev ?? '', below: filesBelow(disk) };
    const { rootDisk: firstFile } = instanceFiles(storage, id);
    if (file !== undefined && dirname(file) === dirname(firstFile) && basename(file).startsWith('root.')) {
      found.disks.unshift({ id: rootDisk.id, firstFile, file, ...shape });
      continue;
    }
    if (name?.endsWith(`/${rootDisk.id}`)) {
      found.unfit.push({ id: rootDisk.id, why: inCeph, cephTarget: shape.target });
      continue;
    }
    const volumeId = childAt(disk, 'alias')?.attributes.name?.replace(/^ua-/, '') ?? '';
    if (!isId('volume', volumeId)) continue;
    if (childAt(disk, 'source')?.attributes.protocol === 'rbd') {
      found.unfit.push({ id: volumeId, why: inCeph, cephTarget: shape.target });
      continue;
    }
    const encryption = (await readVolume(storage, volumeId))?.encrypted && { secretUuid: volumeSecretUuid(volumeId) };
    const why = whyUnfit(disk, file, encryption !== undefined);
    if (why !== undefined || file === undefined) found.unfit.push({ id: volumeId, why: why ?? '' });
    else {
      const firstFile = await firstFileOf(dirname(file));
      found.disks.push({ id: volumeId, firstFile, file, ...shape, ...(encryption && { encryption }) });
    }
  }
  return found;
}

function whyUnfit(disk: XmlElement, file: string | undefined, isEncrypted: boolean): string | undefined {
  if (file === undefined) return 'it is no file of this host';
  // Where a definition says otherwise, what is written after a snapshot might not be encrypted, or nobody could read it.
  const luks = childAt(disk, 'source', 'encryption') ?? childAt(disk, 'encryption');
  if ((luks !== undefined) !== isEncrypted) return `somebody has changed whether it is encrypted`;
  return isLayerName(basename(file)) ? undefined : `somebody has put it on the file ${file}`;
}

function filesBelow(disk: XmlElement): string[] {
  const files: string[] = [];
  for (let below = childAt(disk, 'backingStore'); below !== undefined; below = childAt(below, 'backingStore')) {
    const file = childAt(below, 'source')?.attributes.file;
    if (file !== undefined) files.push(file);
  }
  return files;
}
