// Which disks of a domain a backup has, as its XML shows them. A pure reader.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { VolumeId } from '@virga/contract/ids';
import { diskSerial } from '../instances/device-xml.ts';
import { childAt, childrenOf, parseXml, type XmlElement } from '../xml.ts';
import type { ReadDisk } from './backup-folder.ts';

export type BackedUpDisk = Pick<ReadDisk, 'id' | 'role' | 'target' | 'file'> & {
  /** It can be recorded what changes of it. */
  recordsChanges: boolean;
  /** It is no file of the host that can be opened without more: encrypted, or far away. */
  isOpaque: boolean;
  /** Files that it consists of, from the one that is written. */
  files: string[];
};

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

function readFiles(disk: XmlElement): Omit<BackedUpDisk, 'id' | 'role' | 'target'> {
  const format = childAt(disk, 'driver')?.attributes.type === 'raw' ? 'raw' : 'qcow2';
  const files: string[] = [];
  for (let layer: XmlElement | undefined = disk; layer !== undefined; layer = childAt(layer, 'backingStore')) {
    const file = childAt(layer, 'source')?.attributes.file;
    if (file !== undefined) files.push(file);
  }
  const isEncrypted = childAt(disk, 'source', 'encryption') ?? childAt(disk, 'encryption');
  const [path = ''] = files;
  return {
    file: { path, format },
    files,
    isOpaque: path === '' || isEncrypted !== undefined,
    recordsChanges: format === 'qcow2' && path !== '' && childAt(disk, 'readonly') === undefined,
  };
}
