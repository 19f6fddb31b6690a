// The sizes of a domain in its XML: vCPUs and memory that it has, and room for more. A domain without room has the plain
// elements. Room for memory is a virtio-mem device, which gives the guest as much of itself as is asked for; the rest costs
// the host nothing.
// @see https://libvirt.org/formatdomain.html#memory-devices
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { element, textElement } from '../xml.ts';
import type { HostChoices } from './domain-host.ts';

type Sizes = Pick<DesiredInstance, 'vcpus' | 'maxVcpus' | 'memoryMib' | 'maxMemoryMib'>;

/** By this name the device of a running domain is found. */
export const roomAlias = 'ua-memory-room';
/** A virtio-mem device is given out in blocks of a huge page. */
export const memoryBlockMib = 2;

/** What a virtio-mem device adds at most. */
export const memoryRoomMib = ({ memoryMib, maxMemoryMib }: Sizes): number => wholeBlocks(maxMemoryMib - memoryMib);

export const wholeBlocks = (mib: number): number => Math.max(0, Math.floor(mib / memoryBlockMib) * memoryBlockMib);

export function sizeElements(sizes: Sizes, host: HostChoices): string[] {
  return [...memoryElements(sizes), ...vcpuElements(sizes, host)];
}

function memoryElements(sizes: Sizes): string[] {
  const roomMib = memoryRoomMib(sizes);
  const unit = { unit: 'MiB' };
  if (roomMib === 0) return [textElement('memory', sizes.memoryMib, unit)];
  const totalMib = sizes.memoryMib + roomMib;
  return [
    textElement('maxMemory', totalMib, { slots: 1, ...unit }),
    textElement('memory', totalMib, unit),
    textElement('currentMemory', sizes.memoryMib, unit),
  ];
}

function vcpuElements({ vcpus, maxVcpus }: Sizes, { acceleration }: HostChoices): string[] {
  if (maxVcpus === vcpus) return [textElement('vcpu', vcpus, { placement: 'static' })];
  const vcpu = textElement('vcpu', maxVcpus, { placement: 'static', current: vcpus });
  // Emulated processors cannot be taken out: QEMU does not survive it.
  if (acceleration === 'tcg') return [vcpu];
  const each = Array.from({ length: maxVcpus }, (_, id) => {
    const isOn = id < vcpus;
    const flags = { enabled: isOn ? 'yes' : 'no', hotpluggable: id === 0 ? 'no' : 'yes' };
    return element('vcpu', { id, ...flags, order: isOn ? id + 1 : undefined });
  });
  return [vcpu, element('vcpus', {}, ...each)];
}

/** Memory that is not of a device belongs to a NUMA cell once there are devices. */
export function numaElement(sizes: Sizes): string | false {
  if (memoryRoomMib(sizes) === 0) return false;
  const cpus = sizes.maxVcpus === 1 ? '0' : `0-${sizes.maxVcpus - 1}`;
  return element('numa', {}, element('cell', { id: 0, cpus, memory: sizes.memoryMib, unit: 'MiB' }));
}

export function memoryRoomElement(sizes: Sizes): string | false {
  const sizeMib = memoryRoomMib(sizes);
  return sizeMib > 0 && memoryDevice({ sizeMib, requestedMib: 0 });
}

type MemoryDevice = { sizeMib: number; requestedMib: number; address?: string };

export function memoryDevice({ sizeMib, requestedMib, address }: MemoryDevice): string {
  const unit = { unit: 'MiB' };
  return element(
    'memory',
    { model: 'virtio-mem' },
    element(
      'target',
      {},
      textElement('size', sizeMib, unit),
      textElement('node', 0),
      textElement('block', memoryBlockMib, unit),
      textElement('requested', requestedMib, unit),
    ),
    element('alias', { name: roomAlias }),
    address,
  );
}
