// Which ways of reading and writing a disk go together, and which a host refuses: the same from the control plane, which
// asks the host's facts, and from an agent, which looks again. Pure.
import { VirgaError } from '../errors.ts';
import { type DiskAbilities, deviceKey, type StorageDevice } from './block-devices.ts';
import type { DiskDriver, Hardware } from './desired.ts';

/** A disk that is to have a driver of its own. */
export type DrivenDisk = {
  /** As people know it, such as "root disk" or "volume data". */
  label: string;
  driver: DiskDriver;
  hardware: Hardware;
  /** What is on it may be lost. */
  scratch: boolean;
  /** JSON pointer of the driver in the request; undefined where there is none. */
  field?: string | undefined;
};

/** What is known of the host; undefined is not known yet. */
export type DiskHost = {
  /** As a subject, such as "Host alpha". */
  label: string;
  abilities: DiskAbilities | undefined;
  /** Under the storage folder. */
  devices: readonly StorageDevice[];
  /** Keys of devices on which an administrator allows write-back. */
  allowed: readonly string[];
};

const bypassing = ['none', 'directsync'];

/** @throws InvalidArgument these do not go together, whatever the host */
export function refuseDriver({ label, driver, hardware, scratch, field }: DrivenDisk): void {
  const { cache, aio, ioThread } = driver;
  const refuse = (name: keyof DiskDriver, detail: string, action: string) =>
    new VirgaError('InvalidArgument', { detail, action, field: field && `${field}/${name}` });
  if (aio === 'native' && cache !== undefined && !bypassing.includes(cache)) {
    throw refuse(
      'aio',
      `Native AIO needs a cache mode that bypasses the page cache of the host, and the ${label} has ${cache}.`,
      'Choose the cache none or directsync, or the aio threads or io_uring.',
    );
  }
  if (ioThread && hardware !== 'virtio') {
    throw refuse(
      'ioThread',
      `An I/O thread needs a virtio disk, and the ${label} is on ${hardware} hardware.`,
      'Choose virtio hardware, or do without an I/O thread.',
    );
  }
  if (cache === 'unsafe' && !scratch) {
    throw refuse(
      'cache',
      `The cache mode unsafe throws flushes away, so a crash of the host destroys the ${label}; only scratch volumes may have it.`,
      'Put what may be lost on a scratch volume: virga volumes create NAME --size GIB --scratch.',
    );
  }
}

/** @throws HostIncapable it cannot do that | VolatileWriteCache acknowledged data could be lost there */
export function refuseDriverOnHost(disk: DrivenDisk, host: DiskHost): void {
  const { driver, field } = disk;
  const at = (name: keyof DiskDriver) => field && `${field}/${name}`;
  if (host.abilities?.directIo === false && (driver.aio === 'native' || bypassing.includes(driver.cache ?? ''))) {
    const isCache = bypassing.includes(driver.cache ?? '');
    throw new VirgaError('HostIncapable', {
      detail: `The storage of ${lowerFirst(host.label)} cannot be opened past the page cache (O_DIRECT), which ${isCache ? `the cache mode ${driver.cache}` : 'native AIO'} needs.`,
      action:
        'Choose the cache writethrough with the aio threads, or put the storage on a file system that can, such as ext4 or XFS.',
      field: at(isCache ? 'cache' : 'aio'),
    });
  }
  if (driver.aio === 'io_uring' && host.abilities?.ioUring === false) {
    throw new VirgaError('HostIncapable', {
      detail: `${host.label} cannot use io_uring for guests' disks: its kernel, QEMU or libvirt cannot, or the kernel does not let QEMU.`,
      action: 'Choose the aio native or threads; on the host, see sysctl kernel.io_uring_disabled.',
      field: at('aio'),
    });
  }
  if (driver.cache !== 'writeback') return;
  const risky = host.devices.find(
    (device) => !device.allowsWriteback && !host.allowed.includes(deviceKey(device)) && !disk.scratch,
  );
  if (risky === undefined) return;
  throw new VirgaError('VolatileWriteCache', {
    detail: `The ${disk.label} may not have the cache mode writeback on ${lowerFirst(host.label)}, where a power cut could take acknowledged data back: ${risky.why}`,
    action: `Choose none, writethrough or directsync; or have an administrator allow it for this very device: virga hosts allow-volatile-writeback HOST ${risky.name}.`,
    field: at('cache'),
  });
}

const lowerFirst = (text: string): string => `${text[0]!.toLowerCase()}${text.slice(1)}`;
