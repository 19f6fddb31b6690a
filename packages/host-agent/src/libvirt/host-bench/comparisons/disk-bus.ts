// A paravirtual disk against one that is emulated in full: virtio against AHCI, both disks of one guest.
import type { Comparison } from './comparison.ts';
import { diskConditions, diskMetrics, diskMib, measureDisk, virtioDisk } from './disk-work.ts';

const emulated = 'emulated (AHCI)';

export const diskBus: Comparison = {
  title: 'virtio against an emulated disk',
  async prepare(world) {
    const way = world.context.directIo
      ? ({ format: 'raw', cache: 'none', aio: 'native' } as const)
      : ({ format: 'raw', cache: 'writeback', aio: 'threads' } as const);
    const guest = await world.boot({
      vcpus: 1,
      memoryMib: 256,
      disks: [
        { ...way, file: await world.disk('virtio', 'raw', diskMib), bus: 'virtio' },
        { ...way, file: await world.disk('emulated', 'raw', diskMib), bus: 'sata' },
      ],
    });
    const virtio = await virtioDisk(guest, 0);
    return {
      settings: [emulated, 'virtio'],
      metrics: diskMetrics,
      conditions: [...diskConditions, `Both are raw files with cache=${way.cache} and aio=${way.aio}.`],
      measure: (setting) => measureDisk(guest, setting === emulated ? '/dev/sda' : virtio, world.seconds),
    };
  },
};
