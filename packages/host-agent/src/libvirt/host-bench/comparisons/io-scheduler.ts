// Each scheduler of the disk that the storage lies on, with a guest's disk past the page cache of the host.
import { NotPossible } from '../../../host-bench/comparison.ts';
import type { Comparison } from './comparison.ts';
import { diskConditions, diskMetrics, diskMib, measureDisk, virtioDisk } from './disk-work.ts';

export const ioScheduler: Comparison = {
  title: 'I/O scheduler',
  async prepare(world) {
    const { directIo, disks } = world.context;
    const { disks: all, storage } = await disks.disks();
    const [name, ...more] = storage.devices;
    if (name === undefined) throw new NotPossible(`the disk of the storage is unknown: ${storage.why}`);
    if (more.length > 0) throw new NotPossible(`the storage lies on several disks: ${storage.devices.join(', ')}`);
    if (!directIo) throw new NotPossible('the storage cannot be opened past the page cache, which hides its disk');
    const { available = [], chosen = null } = all.find((disk) => disk.name === name)?.scheduler ?? {};
    if (chosen === null || available.length < 2) throw new NotPossible(`${name} has one scheduler`);
    const file = await world.disk('disk', 'raw', diskMib);
    const guest = await world.boot({
      vcpus: 1,
      memoryMib: 256,
      disks: [{ file, format: 'raw', cache: 'none', aio: 'native', bus: 'virtio' }],
    });
    const device = await virtioDisk(guest, 0);
    const path = `/sys/block/${name}/queue/scheduler`;
    return {
      settings: [chosen, ...available.filter((scheduler) => scheduler !== chosen)],
      metrics: diskMetrics,
      device: name,
      conditions: [
        ...diskConditions,
        `Of ${name}, which the storage lies on; a raw file, past the page cache of the host.`,
      ],
      async measure(setting) {
        await world.set([{ setting: { kind: 'value', path, value: setting }, why: 'a benchmark compares it' }]);
        return measureDisk(guest, device, world.seconds);
      },
    };
  },
};
