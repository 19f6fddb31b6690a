// What a domain that is on has of memory: what it booted with, what its balloon leaves of that, and what is plugged in.
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { childAt, childrenOf, parseXml, type XmlElement } from '../xml.ts';
import { roomAlias } from './domain-sizes.ts';

const kibPerMib = 1024;

export type LiveMemory = {
  bootedMib: number;
  /** All that it has now. */
  currentMib: number;
  /** Of the device that memory is added by. */
  pluggedMib: number;
  /** There is none on emulated hardware, nor for what began as a copy of a running guest. */
  hasBalloon: boolean;
  /** QEMU was not told to keep the kernel from merging it. */
  isShareable: boolean;
};

/** Undefined: the domain is gone. */
export async function readLiveMemory(connection: Connection, ref: DomainRef): Promise<LiveMemory | undefined> {
  try {
    return liveMemoryOf(parseXml(await connection.domains.xml(ref)));
  } catch (error) {
    if (isLibvirtError(error, 'NO_DOMAIN')) return undefined;
    throw error;
  }
}

export function liveMemoryOf(domain: XmlElement): LiveMemory {
  const devices = childAt(domain, 'devices');
  const room = childrenOf(devices, 'memory').find((memory) => childAt(memory, 'alias')?.attributes.name === roomAlias);
  const target = childAt(room, 'target');
  return {
    bootedMib: Math.floor(mibAt(domain, 'memory') - mibAt(target, 'size')),
    currentMib: mibAt(domain, 'currentMemory'),
    pluggedMib: mibAt(target, 'current'),
    hasBalloon: childAt(devices, 'memballoon')?.attributes.model === 'virtio',
    isShareable: childAt(domain, 'memoryBacking', 'nosharepages') === undefined,
  };
}

/** libvirt writes sizes in KiB. */
const mibAt = (parent: XmlElement | undefined, name: string): number =>
  Number(childAt(parent, name)?.text ?? 0) / kibPerMib;
