// The disk of a simulated host, and how guests' disks may be driven there: the same refusals as on a real one. It has one,
// whose cache a capacitor keeps until a test says otherwise.
import { isDeepStrictEqual } from 'node:util';
import type { DiskLooking, HostDisk } from '@virga/contract/agent/block-devices';
import type { DesiredInstance, DiskDriver } from '@virga/contract/agent/desired';
import { type DrivenDisk, refuseDriver, refuseDriverOnHost } from '@virga/contract/agent/disk-driver';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import { storageDevices } from '../block-devices/disk-watch.ts';
import type { Calls } from './call-steps.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** What a simulated host has of it. */
export type SimulatedDisk = { diskCache: 'safe' | 'volatile'; hasIoUring: boolean };

export type DiskControls = {
  /** What the disk of the host says of its write cache. Default safe. */
  setDiskCache(cache: 'safe' | 'volatile'): void;
  /** Whether QEMU can use io_uring there. Default true. */
  setIoUring(can: boolean): void;
};

export const diskControls = (host: SimulatedHost): DiskControls => ({
  setDiskCache: (cache) => {
    host.diskCache = cache;
  },
  setIoUring: (can) => {
    host.hasIoUring = can;
  },
});

export const simulatedDiskLooking = (host: SimulatedHost, calls: Calls, hostName: string): DiskLooking => ({
  hostDisks: (context) =>
    calls.run('hostDisks', hostName, context, () => {
      const path = `/simulated/${hostName}`;
      return {
        disks: disksOf(host),
        storage: { path, devices: ['nvme0n1'], through: ['nvme0n1p2'], fileSystem: 'ext4', why: null },
      };
    }),
});

export function diskFacts(host: SimulatedDisk): Pick<HostFacts, 'storageDevices' | 'diskAbilities'> {
  const storage = { path: '', devices: ['nvme0n1'], through: [], fileSystem: null, why: null };
  return {
    storageDevices: storageDevices({ disks: disksOf(host), storage }),
    diskAbilities: { directIo: true, ioUring: host.hasIoUring },
  };
}

/**
 * @param before what has been applied to a guest that goes on; undefined when it is started now
 * @throws InvalidArgument | HostIncapable | VolatileWriteCache
 */
export function requireDrivers(
  host: SimulatedHost,
  desired: DesiredInstance,
  before: DesiredInstance | undefined,
): void {
  const { hardware, rootDisk, volumes, volatileWriteback: allowed = [] } = desired;
  const comes = (driver: DiskDriver | undefined, was: DiskDriver | undefined) =>
    driver !== undefined && (before?.hardware !== hardware || !isDeepStrictEqual(driver, was));
  const disks: DrivenDisk[] = [
    { label: 'root disk', driver: rootDisk.driver, was: before?.rootDisk.driver, scratch: false, field: '/rootDisk' },
    ...volumes.map(({ id, driver }, index) => ({
      label: `volume ${host.store.volumes.get(id)?.name ?? id}`,
      driver,
      was: before?.volumes.find((one) => one.id === id)?.driver,
      scratch: host.store.volumes.get(id)?.scratch === true,
      field: `/volumes/${index}`,
    })),
  ].flatMap(({ driver, was, field, ...disk }) =>
    driver && comes(driver, was) ? [{ ...disk, driver, hardware, field: `${field}/driver` }] : [],
  );
  const { storageDevices: devices, diskAbilities: abilities } = diskFacts(host);
  for (const disk of disks) {
    refuseDriver(disk);
    refuseDriverOnHost(disk, { label: 'The host', devices, abilities, allowed });
  }
}

function disksOf({ diskCache }: SimulatedDisk): HostDisk[] {
  const isSafe = diskCache === 'safe';
  const writeCache = isSafe ? 'write through' : 'write back';
  const read = [{ from: '/sys/block/nvme0n1/queue/write_cache', value: writeCache }];
  return [
    {
      name: 'nvme0n1',
      id: 'eui.0000000000000001',
      class: 'nvme',
      sizeBytes: 4 * 1024 ** 4,
      vendor: null,
      model: 'Simulated',
      rotational: false,
      scheduler: { available: ['none', 'mq-deadline'], chosen: 'none' },
      writeCache,
      controller: null,
      usedBy: [],
      protection: {
        verdict: isSafe ? 'safe' : 'volatile',
        why: isSafe
          ? 'nvme0n1 has no volatile write cache.'
          : 'nvme0n1 has a volatile write cache, and reports nothing that would keep it through a power cut.',
        read,
        allowsWriteback: isSafe,
      },
    },
  ];
}
