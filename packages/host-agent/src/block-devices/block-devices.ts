// The disks of a host, as its kernel shows them in sysfs. Reads anew each time and runs no program; what it cannot read is
// null. Loop devices, RAM disks, compressed swap, optical drives and empty card readers are no disks; md and dm are layers on
// disks, see layers.ts.
import type { BlockDevice, BlockDeviceClass, WriteCache } from '@virga/contract/agent/block-devices';
import type { HostSystem } from '../host-system/host-system.ts';
import { blockLayers } from './layers.ts';

const blockFolder = '/sys/block';
const bytesPerSector = 512;

/** By name: what is no disk by itself. Disks of the network (rbd, nbd) look after their caches elsewhere. */
const noDisk = /^(loop|ram|zram|sr|fd|md|dm-|nbd|rbd|drbd|bcache|mtdblock|zd|mmcblk\d+(boot|rpmb))/;

/** What hypervisors and clouds call the disks that they show over SCSI and NVMe. */
const virtualDisk = /qemu|vmware|virtual|vbox|msft|google|persistentdisk|ephemeraldisk|amazon|nvme_card|xen/i;

/** Drivers of RAID controllers whose logical drives look like disks. */
const raidDrivers = ['megaraid_sas', 'hpsa', 'smartpqi', 'cciss', 'aacraid', 'arcmsr', '3w-9xxx', '3w-sas'];

/** Whether a device of this name can be a disk of this host. */
export const isDisk = (name: string): boolean => !noDisk.test(name);

export async function blockDevices(system: HostSystem): Promise<BlockDevice[]> {
  const layers = await blockLayers(system);
  const names = (await system.list(blockFolder)).filter(isDisk);
  const devices = await Promise.all(names.map((name) => readDevice(system, name, layers.above(name))));
  return devices.filter((device) => device !== undefined);
}

async function readDevice(system: HostSystem, name: string, usedBy: string[]): Promise<BlockDevice | undefined> {
  const read = (file: string): Promise<string | undefined> => readLine(system, `${blockFolder}/${name}/${file}`);
  const [id, sectors, hidden, rotational, scheduler, model, vendor, driver, cache, controller] = await Promise.all([
    stableId(system, name),
    read('size'),
    // One path of several to an NVMe namespace.
    read('hidden'),
    read('queue/rotational'),
    read('queue/scheduler'),
    read('device/model'),
    read('device/vendor'),
    system.link(`${blockFolder}/${name}/device/driver`),
    writeCache(system, name),
    raidController(system, name),
  ]);
  const sizeBytes = Number(sectors ?? 0) * bytesPerSector;
  if (!(sizeBytes > 0) || hidden === '1') return undefined;
  // virtio and NVMe have a number of PCI there.
  const vendorName = vendor === undefined || vendor.startsWith('0x') ? null : vendor;
  const isRotational = rotational === '1';
  return {
    name,
    id,
    class: classOf(name, `${driver ?? ''} ${vendorName ?? ''} ${model ?? ''}`, isRotational),
    sizeBytes,
    vendor: vendorName,
    model: model ?? null,
    rotational: isRotational,
    scheduler: readScheduler(scheduler),
    writeCache: cache,
    controller,
    usedBy,
  };
}

/** Of NVMe, SCSI and virtio, in this order. */
async function stableId(system: HostSystem, name: string): Promise<string | null> {
  for (const file of ['wwid', 'device/wwid', 'serial', 'device/serial']) {
    const id = await readLine(system, `${blockFolder}/${name}/${file}`);
    if (id !== undefined) return id.replace(/\s+/g, ' ');
  }
  return null;
}

function classOf(name: string, says: string, isRotational: boolean): BlockDeviceClass {
  if (/^(vd|xvd)/.test(name) || virtualDisk.test(says)) return 'virtual';
  if (name.startsWith('nvme')) return 'nvme';
  return isRotational ? 'rotating' : 'ssd';
}

/** As the kernel writes it: `none [mq-deadline] kyber`; `none` alone, or nothing, where there is none to choose. */
function readScheduler(text: string | undefined): BlockDevice['scheduler'] {
  const words = (text ?? '').split(/\s+/).filter((word) => word !== '');
  const available = words.map((word) => word.replace(/^\[(.*)\]$/, '$1'));
  const chosen = words.find((word) => word.startsWith('['))?.slice(1, -1);
  return { available, chosen: chosen ?? (available.length === 1 ? available[0]! : null) };
}

/**
 * The worse of what the queue and the SCSI disk say: the queue's can be overwritten, which makes the kernel send no flushes
 * any more and empties no cache.
 */
async function writeCache(system: HostSystem, name: string): Promise<WriteCache | null> {
  const says = (await writeCacheSources(system, name)).map(({ value }) => value);
  if (says.some((text) => text.includes('write back'))) return 'write back';
  return says.some((text) => text.includes('write through') || text === 'none') ? 'write through' : null;
}

/** Where a kernel tells of a write cache, and what it says there. */
export async function writeCacheSources(system: HostSystem, name: string): Promise<{ from: string; value: string }[]> {
  const folder = `${blockFolder}/${name}`;
  const scsi = await system.list(`${folder}/device/scsi_disk`);
  const places = [`${folder}/queue/write_cache`, ...scsi.map((at) => `/sys/class/scsi_disk/${at}/cache_type`)];
  const found = await Promise.all(places.map(async (from) => ({ from, value: await readLine(system, from) })));
  return found.flatMap(({ from, value }) => (value === undefined ? [] : [{ from, value }]));
}

async function raidController(system: HostSystem, name: string): Promise<string | null> {
  const address = await scsiAddress(system, name);
  if (address === undefined) return null;
  const driver = await readLine(system, `/sys/class/scsi_host/host${address.host}/proc_name`);
  return driver !== undefined && raidDrivers.includes(driver) ? driver : null;
}

/** host:channel:target:lun of a disk on SCSI. */
export async function scsiAddress(
  system: HostSystem,
  name: string,
): Promise<{ host: number; channel: number; target: number; lun: number } | undefined> {
  const [text] = await system.list(`${blockFolder}/${name}/device/scsi_disk`);
  const match = /^(\d+):(\d+):(\d+):(\d+)$/.exec(text ?? '');
  if (match === null) return undefined;
  const [host, channel, target, lun] = match.slice(1).map(Number) as [number, number, number, number];
  return { host, channel, target, lun };
}

async function readLine(system: HostSystem, path: string): Promise<string | undefined> {
  const text = (await system.read(path))?.trim();
  return text === '' ? undefined : text;
}
