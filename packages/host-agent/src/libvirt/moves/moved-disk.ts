// The disk of a volume, or the root disk, that is being moved, as the XML of a domain has it: where the guest writes, and where else at the same
// time. Pure.
import type { VolumeId } from '@virga/contract/ids';
import { diskNameOf } from '../disks/disk-source.ts';
import { deviceAlias, diskSerial } from '../instances/device-xml.ts';
import { childAt, childrenOf, parseXml, type XmlElement } from '../xml.ts';

export type MovedDisk = {
  /** Such as vdc. */
  target: string;
  /** Of its disk: see {@link diskNameOf}. */
  name: string | undefined;
  /** What is written goes there too; ready: all else has been copied. */
  mirror: { name: string | undefined; isReady: boolean } | undefined;
};

export function movedDisk(xml: string, id: VolumeId): MovedDisk | undefined {
  const disks = childrenOf(childAt(parseXml(xml), 'devices'), 'disk');
  // A root disk has the alias that libvirt gave it.
  const disk = disks.find(
    (one) =>
      childAt(one, 'alias')?.attributes.name === deviceAlias(id) || childAt(one, 'serial')?.text === diskSerial(id),
  );
  if (disk === undefined) return undefined;
  return {
    target: childAt(disk, 'target')?.attributes.dev ?? '',
    name: nameIn(disk),
    mirror: mirrorOf(childAt(disk, 'mirror')),
  };
}

function mirrorOf(mirror: XmlElement | undefined): MovedDisk['mirror'] {
  if (mirror === undefined) return undefined;
  return { name: nameIn(mirror), isReady: mirror.attributes.ready === 'yes' };
}

function nameIn(disk: XmlElement): string | undefined {
  const source = childAt(disk, 'source');
  const hosts = childrenOf(source, 'host').map(({ attributes }) => attributes.name);
  return source && diskNameOf(source.attributes, hosts);
}
