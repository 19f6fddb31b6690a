// The disks of a domain that are ours, as its XML has them: the root disk and volumes, each with the file that the guest
// writes to now. What others have plugged in is not among them, nor what the guest cannot write to.
import { basename, dirname } from 'node:path';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { isId, type VolumeId } from '@virga/contract/ids';
import { folderPath, instanceFiles } from '../instances/instance-folder.ts';
import { firstFileOf } from '../pools/directory-pool.ts';
import type { Storage } from '../storage.ts';
import { childAt, childrenOf, parseXml, type XmlElement } from '../xml.ts';
import { isLayerName } from './layer-names.ts';

export type DomainDisk = {
  id: VolumeId;
  /** Such as vda. */
  target: string;
  /** Path of the file that the disk was made as. */
  firstFile: string;
  /** Path of the file that is written to. */
  file: string;
  /** Paths of all that it rests on, from above, as far as the XML says. */
  below: string[];
};

export type FoundDisks = {
  /** The root disk first. */
  disks: DomainDisk[];
  /** Volumes that nothing can be put on, each with why. */
  unfit: { id: VolumeId; why: string }[];
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
    if (file !== undefined && dirname(file) === folderPath(storage, id) && basename(file).startsWith('root.')) {
      const { rootDisk: firstFile } = instanceFiles(storage, id);
      found.disks.unshift({ id: rootDisk.id, firstFile, file, ...shape });
      continue;
    }
    if (name?.endsWith(`/${rootDisk.id}`)) {
      found.unfit.push({ id: rootDisk.id, why: inCeph });
      continue;
    }
    const volumeId = childAt(disk, 'alias')?.attributes.name?.replace(/^ua-/, '') ?? '';
    if (!isId('volume', volumeId)) continue;
    const why = whyUnfit(disk, file);
    if (why !== undefined || file === undefined) found.unfit.push({ id: volumeId, why: why ?? '' });
    else found.disks.push({ id: volumeId, firstFile: await firstFileOf(dirname(file)), file, ...shape });
  }
  return found;
}

function whyUnfit(disk: XmlElement, file: string | undefined): string | undefined {
  if (file === undefined) return 'it is no file of this host';
  if (childAt(disk, 'source', 'encryption') !== undefined || childAt(disk, 'encryption') !== undefined) {
    return 'it is encrypted, and what is written after a snapshot would not be';
  }
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
