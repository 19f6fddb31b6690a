// The devices of a domain that come and go while it runs, as XML: volumes, limits of disks and cards. Pure; the same
// elements stand in a definition and are plugged into a running domain.
// @see https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms
import type {
  DesiredNic,
  DesiredVolumeAttachment,
  DiskLimits,
  Hardware,
  NicLimits,
} from '@virga/contract/agent/desired';
import { maxHotPlugged } from '@virga/contract/rest/instance-devices';
import { type DiskSource, diskType, sourceElements } from '../disks/disk-source.ts';
import { element, textElement } from '../xml.ts';
import { driverAttributes } from './disk-driver-xml.ts';
import { volumePlace } from './machine-profile.ts';

/** virtio-blk cuts a serial after 20 bytes: the id without its dash just fits (/dev/disk/by-id/virtio-vol…). */
export const diskSerial = (volumeId: string): string => volumeId.replace('-', '');

/** What libvirt calls a device: what begins with `ua-` it leaves to us. */
export const deviceAlias = (id: DesiredNic['id'] | DesiredVolumeAttachment['id']): string => `ua-${id}`;

export function volumeDisk(
  volume: DesiredVolumeAttachment,
  source: DiskSource,
  { directIo, hardware }: { directIo: boolean; hardware: Hardware },
): string {
  const place = volumePlace(volume, hardware);
  return element(
    'disk',
    { type: diskType(source), device: 'disk' },
    element('driver', {
      name: 'qemu',
      type: source.format,
      ...driverAttributes(volume.driver, place, { directIo: source.directIo ?? directIo }),
    }),
    ...sourceElements(source),
    element('target', place),
    ioTune(volume.limits),
    textElement('serial', diskSerial(volume.id)),
    volume.readOnly && element('readonly', {}),
    element('alias', { name: deviceAlias(volume.id) }),
  );
}

/** Limits as libvirt's names have them; 0 is none. */
export function ioTuneValues(limits: DiskLimits = {}) {
  const { iops = 0, bytesPerSecond = 0, burstIops = 0, burstBytesPerSecond = 0, burstSeconds = 1 } = limits;
  return {
    total_bytes_sec: bytesPerSecond,
    total_iops_sec: iops,
    total_bytes_sec_max: burstBytesPerSecond,
    total_iops_sec_max: burstIops,
    // How long a burst lasts means nothing, and is refused, where there is none.
    total_bytes_sec_max_length: burstBytesPerSecond > 0 ? burstSeconds : 0,
    total_iops_sec_max_length: burstIops > 0 ? burstSeconds : 0,
  };
}

export function ioTune(limits: DiskLimits | undefined): string | false {
  const values = Object.entries(ioTuneValues(limits)).filter(([, value]) => value > 0);
  return values.length > 0 && element('iotune', {}, ...values.map(([name, value]) => textElement(name, value)));
}

/** tc's kilobyte of a rate has 1000 bytes, that of a burst 1024. */
const rateUnitBytes = 1000;
const burstUnitBytes = 1024;

/** Limits of a card as libvirt's numbers; 0 is none. What the guest receives is inbound. */
export function bandwidthValues(limits: NicLimits = {}) {
  const { inboundBytesPerSecond = 0, outboundBytesPerSecond = 0, burstBytes = 0 } = limits;
  const of = (bytesPerSecond: number) => ({
    average: Math.ceil(bytesPerSecond / rateUnitBytes),
    burst: bytesPerSecond > 0 ? Math.ceil(burstBytes / burstUnitBytes) : 0,
  });
  return { inbound: of(inboundBytesPerSecond), outbound: of(outboundBytesPerSecond) };
}

export function bandwidth(limits: NicLimits | undefined): string | false {
  const { inbound, outbound } = bandwidthValues(limits);
  const direction = (name: string, { average, burst }: typeof inbound) =>
    average > 0 && element(name, { average, burst: burst > 0 ? burst : undefined });
  const directions = [direction('inbound', inbound), direction('outbound', outbound)];
  return directions.some(Boolean) && element('bandwidth', {}, ...directions);
}

/**
 * Ports for what is there and for what may come, because a guest takes no device where there was no port when it started.
 * @param taken how many devices sit at such ports: libvirt fills them in the order of the definition
 */
export function hotPlugPortElements(taken: number): string[] {
  return Array.from({ length: taken + maxHotPlugged }, (_, port) =>
    element('controller', { type: 'pci', index: port + 1, model: 'pcie-root-port' }),
  );
}
