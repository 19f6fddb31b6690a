// Which disks of a domain a backup has, as its XML shows them. Reads only.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { VolumeId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import type { DiskSource } from '../disks/disk-source.ts';
import { diskSerial } from '../instances/device-xml.ts';
import type { DiskInCeph } from '../snapshots/ceph-disks.ts';
import { passphrasesOf } from '../volumes/volume-passphrase.ts';
import { childAt, childrenOf, parseXml, type XmlElement } from '../xml.ts';
import type { ReadDisk } from './backup-folder.ts';
import type { DiskFile } from './open-disk.ts';

export type BackedUpDisk = Pick<ReadDisk, 'id' | 'role' | 'target'> & {
  file: DiskFile;
  /** It can be recorded what changes of it. */
  recordsChanges: boolean;
  /** It is no file of the host that can be opened without more: encrypted with a key that is not ours, or far away. */
  isOpaque: boolean;
  /** It is encrypted, and this secret of libvirt opens it. */
  encryption?: DiskSource['encryption'];
  /** An image of Ceph, as the guest has it. */
  isPlainRbd: boolean;
  /** Where that is, once it is known. */
  ceph?: DiskInCeph;
  /** Files that it consists of, from the one that is written. */
  files: string[];
};

/** Of encrypted volumes the host has the keys, and can read them too. @throws NotFound it has yet to be given one */
export async function withKeysOf(context: AgentContext, found: DomainDisks): Promise<DomainDisks> {
  const keys = await passphrasesOf(context, found.disks);
  const known = ({ encryption, ...disk }: BackedUpDisk): BackedUpDisk => {
    const isOurs = disk.file.path !== '' && encryption !== undefined && keys.get(disk.id) !== undefined;
    if (!isOurs) return disk;
    return { ...disk, encryption, isOpaque: false, file: { ...disk.file, encryptedOn: disk.files.slice(1) } };
  };
  return { ...found, disks: found.disks.map(known) };
}

export type DomainDisks = {
  disks: BackedUpDisk[];
  /** Targets of all others. */
  others: string[];
};

export function readDomainDisks(
  xml: string,
  desired: Pick<DesiredInstance, 'rootDisk' | 'volumes'>,
  leavesOut: readonly VolumeId[],
): DomainDisks {
  const wanted = new Map<string, Pick<ReadDisk, 'id' | 'role'>>([
    [diskSerial(desired.rootDisk.id), { id: desired.rootDisk.id, role: 'root' }],
    ...desired.volumes
      .filter(({ id }) => !leavesOut.includes(id))
      .map(({ id }) => [diskSerial(id), { id, role: 'data' as const }] as const),
  ]);
  const all = childrenOf(childAt(parseXml(xml), 'devices'), 'disk');
  const disks: BackedUpDisk[] = [];
  const others: string[] = [];
  for (const element of all) {
    const disk = wanted.get(childAt(element, 'serial')?.text ?? '');
    const target = childAt(element, 'target')?.attributes.dev ?? '';
    if (disk === undefined) others.push(target);
    else disks.push({ ...disk, target, ...readFiles(element) });
  }
  return { disks, others };
}

/** Files that a disk consists of, from the one that is written. */
export function filesOf(disk: XmlElement): string[] {
  const files: string[] = [];
  for (let layer: XmlElement | undefined = disk; layer !== undefined; layer = childAt(layer, 'backingStore')) {
    const file = childAt(layer, 'source')?.attributes.file;
    if (file !== undefined) files.push(file);
  }
  return files;
}

function readFiles(disk: XmlElement): Omit<BackedUpDisk, 'id' | 'role' | 'target'> {
  const format = childAt(disk, 'driver')?.attributes.type === 'raw' ? 'raw' : 'qcow2';
  const files = filesOf(disk);
  const isEncrypted = childAt(disk, 'source', 'encryption') ?? childAt(disk, 'encryption');
  const secretUuid = childAt(isEncrypted, 'secret')?.attributes.uuid;
  const [path = ''] = files;
  return {
    file: { path, format },
    files,
    isOpaque: path === '' || isEncrypted !== undefined,
    ...(secretUuid !== undefined && { encryption: { secretUuid } }),
    isPlainRbd: childAt(disk, 'source')?.attributes.protocol === 'rbd' && isEncrypted === undefined,
    recordsChanges: format === 'qcow2' && path !== '' && childAt(disk, 'readonly') === undefined,
  };
}
