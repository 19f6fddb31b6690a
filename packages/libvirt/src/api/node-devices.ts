// The host's devices: what there is, and handing PCI and mediated devices to guests. Owns no state; fails with
// LibvirtError (`NO_NODE_DEVICE`; `NO_SUPPORT` where the daemon has no device driver, as without udev).
import type { CallOptions } from '../connection/call-table.ts';
import type { Subscription } from '../connection/event-hub.ts';
import type { Session } from '../connection/session.ts';
import * as calls from '../protocol/node-device-calls.ts';
import type { NodeDeviceRef } from '../protocol/objects.ts';
import { type Flags, flagBits, nameOf } from './flags.ts';

const listFlags = {
  system: 0x1,
  pci: 0x2,
  usb: 0x4,
  usbInterface: 0x8,
  net: 0x10,
  scsiHost: 0x20,
  scsiTarget: 0x40,
  scsi: 0x80,
  storage: 0x100,
  fibreChannelHost: 0x200,
  vports: 0x400,
  scsiGeneric: 0x800,
  drm: 0x1000,
  mediatedTypes: 0x2000,
  mediated: 0x4000,
  vdpa: 0x2_0000,
  vpd: 0x20_0000,
  inactive: 0x4000_0000,
  active: 0x8000_0000,
} as const;
const lifecycleNames = ['created', 'deleted', 'defined', 'undefined'] as const;

export interface NodeDeviceEvent {
  kind: 'lifecycle';
  device: NodeDeviceRef;
  event: (typeof lifecycleNames)[number] | 'unknown';
}

export type NodeDevices = ReturnType<typeof nodeDevices>;

export function nodeDevices(session: Session) {
  return {
    /** Lists devices with any of the given abilities; none set lists all that are active. */
    async list(options?: Flags<typeof listFlags> & CallOptions): Promise<readonly NodeDeviceRef[]> {
      const args = { needResults: true, flags: flagBits(listFlags, options) };
      return (await session.call(calls.connectListAllNodeDevices, args, options)).devices;
    },

    /** @throws LibvirtError `NO_NODE_DEVICE` */
    async lookupByName(name: string, options?: CallOptions): Promise<NodeDeviceRef> {
      return (await session.call(calls.nodeDeviceLookupByName, { name }, options)).device;
    },

    async xml({ name }: NodeDeviceRef, options?: CallOptions): Promise<string> {
      return (await session.call(calls.nodeDeviceGetXmlDesc, { name, flags: 0 }, options)).xml;
    },

    /** The device it hangs on; undefined at the root. */
    async parent({ name }: NodeDeviceRef, options?: CallOptions): Promise<string | undefined> {
      return (await session.call(calls.nodeDeviceGetParent, { name }, options)).parent ?? undefined;
    },

    /** Its abilities by libvirt's names, e.g. `pci`, `net`. */
    async capabilities({ name }: NodeDeviceRef, options?: CallOptions): Promise<readonly string[]> {
      const { count } = await session.call(calls.nodeDeviceNumOfCaps, { name }, options);
      return (await session.call(calls.nodeDeviceListCaps, { name, maxNames: count }, options)).names;
    },

    /** Takes a PCI device from the host's driver, so that a guest can have it. */
    async detach({ name }: NodeDeviceRef, options?: { driver?: string } & CallOptions): Promise<void> {
      await session.call(calls.nodeDeviceDetachFlags, { name, driver: options?.driver ?? null, flags: 0 }, options);
    },

    /** Gives a PCI device back to the host. */
    async reattach({ name }: NodeDeviceRef, options?: CallOptions): Promise<void> {
      await session.call(calls.nodeDeviceReAttach, { name }, options);
    },

    async reset({ name }: NodeDeviceRef, options?: CallOptions): Promise<void> {
      await session.call(calls.nodeDeviceReset, { name }, options);
    },

    /** Makes a mediated device or virtual port. */
    async createXml(xml: string, options?: CallOptions): Promise<NodeDeviceRef> {
      return (await session.call(calls.nodeDeviceCreateXml, { xml, flags: 0 }, options)).device;
    },

    async destroy({ name }: NodeDeviceRef, options?: CallOptions): Promise<void> {
      await session.call(calls.nodeDeviceDestroy, { name }, options);
    },

    /** Calls `listener` when devices come and go. Order as for domain events. */
    on(listener: (event: NodeDeviceEvent) => void, options?: CallOptions): Promise<Subscription> {
      return session.events.subscribe(
        calls.nodeDeviceLifecycle,
        ({ device, event }) => listener({ kind: 'lifecycle', device, event: nameOf(lifecycleNames, event) }),
        options,
      );
    },
  };
}
