// Every way in which QEMU can open a disk's file: cache mode, asynchronous I/O, format; all as disks of one guest.

import type { BenchDisk } from '../bench-xml.ts';
import type { Comparison } from './comparison.ts';
import { diskConditions, diskMetrics, diskMib, measureDisk, virtioDisk } from './disk-work.ts';

type Way = Pick<BenchDisk, 'format' | 'cache' | 'aio'>;

const formats = ['qcow2', 'raw'] as const;
const past = ['none', 'directsync'] as const;
const through = ['writethrough', 'writeback', 'unsafe'] as const;

export const nameOf = ({ format, cache, aio }: Way): string => `${format} ${cache} ${aio}`;

/** Native AIO needs a mode past the page cache of the host. The first is what disks of instances have by default. */
export function waysOf({ directIo, ioUring }: { directIo: boolean; ioUring: boolean }): Way[] {
  const uring = ioUring ? (['io_uring'] as const) : [];
  return formats.flatMap((format) => [
    ...(directIo ? past : []).flatMap((cache) =>
      (['native', 'threads', ...uring] as const).map((aio) => ({ format, cache, aio })),
    ),
    ...(directIo
      ? through
      : [...through].sort((a, b) => Number(b === 'writeback') - Number(a === 'writeback'))
    ).flatMap((cache) => (['threads', ...uring] as const).map((aio) => ({ format, cache, aio }))),
  ]);
}

export const diskCache: Comparison = {
  title: 'disk cache, asynchronous I/O and format',
  async prepare(world) {
    const { abilities } = await world.context.disks.sight();
    const ways = waysOf(abilities);
    const disks: BenchDisk[] = [];
    for (const [index, way] of ways.entries()) {
      disks.push({ ...way, bus: 'virtio', file: await world.disk(`disk-${index}`, way.format, diskMib) });
    }
    const guest = await world.boot({ vcpus: 1, memoryMib: 256, disks });
    const devices = new Map<string, string>();
    for (const [index, way] of ways.entries()) devices.set(nameOf(way), await virtioDisk(guest, index));
    return {
      settings: ways.map(nameOf),
      metrics: diskMetrics,
      conditions: [
        ...diskConditions,
        'The first is what disks of instances have unless they say otherwise. “unsafe” loses what was acknowledged when the host fails.',
        ...(abilities.directIo
          ? []
          : [
              'The storage cannot be opened past the page cache of the host, so that none and directsync are left out.',
            ]),
        ...(abilities.ioUring
          ? []
          : ['QEMU, kernel or libvirt of the host cannot do io_uring, so that it is left out.']),
      ],
      measure: (setting) => measureDisk(guest, devices.get(setting)!, world.seconds),
    };
  },
};
