// How QEMU reads and writes the disks of a domain, as XML: cache, asynchronous I/O, discard, threads of their own. Pure. What
// an instance says nothing of is as the storage does it best and safely.
// @see https://libvirt.org/formatdomain.html#iothreads-allocation
import type { DesiredInstance, DiskDriver } from '@virga/contract/agent/desired';
import { element, textElement } from '../xml.ts';
import type { DiskPlace } from './machine-profile.ts';

type Disks = Pick<DesiredInstance, 'rootDisk' | 'volumes'>;

/** Cache modes that open the file past the page cache of the host, as native AIO needs it. */
const bypassing = ['none', 'directsync'];
const rootThread = 1;

/** A thread keeps its number as long as its disk keeps its place: 1 is that of the root disk, 3 that of vdc. */
export const threadOfPlace = ({ dev, bus }: DiskPlace): number | undefined =>
  bus === 'virtio' ? dev.charCodeAt(dev.length - 1) - 'a'.charCodeAt(0) + 1 : undefined;

/** Numbers of the I/O threads that an instance has, in order. */
export function ioThreadIds({ rootDisk, volumes }: Disks): number[] {
  const ofVolumes = volumes.flatMap(({ target, driver }) => {
    const thread = driver?.ioThread && threadOfPlace({ dev: target, bus: target.startsWith('v') ? 'virtio' : 'sata' });
    return thread ? [thread] : [];
  });
  return [...(rootDisk.driver?.ioThread ? [rootThread] : []), ...ofVolumes].sort((a, b) => a - b);
}

export function ioThreadElements(disks: Disks): string[] {
  const ids = ioThreadIds(disks);
  if (ids.length === 0) return [];
  return [
    textElement('iothreads', ids.length),
    element('iothreadids', {}, ...ids.map((id) => element('iothread', { id }))),
  ];
}

/** Attributes of a disk's driver, beside its format. */
export function driverAttributes(
  driver: DiskDriver | undefined,
  place: DiskPlace,
  { directIo }: { directIo: boolean },
): { cache: string; io: string; discard: string; iothread: number | undefined } {
  const { cache = directIo ? 'none' : 'writeback', aio, discard = 'unmap', ioThread = false } = driver ?? {};
  return {
    cache,
    io: aio ?? (directIo && bypassing.includes(cache) ? 'native' : 'threads'),
    discard,
    iothread: ioThread ? threadOfPlace(place) : undefined,
  };
}
