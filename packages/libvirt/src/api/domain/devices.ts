// Plugging devices into domains and out, and what the network knows about their cards. Owns no state; fails with
// LibvirtError (`DEVICE_MISSING`, `OPERATION_UNSUPPORTED`, `XML_ERROR` ...).
import type { CallOptions } from '../../connection/call-table.ts';
import type { Session } from '../../connection/session.ts';
import * as calls from '../../protocol/domain/device-calls.ts';
import type { DomainRef } from '../../protocol/objects.ts';
import { type Flags, flagBits, nameOf } from '../flags.ts';
import { affectFlags } from './affect.ts';

const updateFlags = { ...affectFlags, force: 4 } as const;
const addressSources = { lease: 0, agent: 1, arp: 2 } as const;
const addressFamilies = ['ipv4', 'ipv6'] as const;
const keyCodeSets = {
  ...{ linux: 0, xt: 1, atset1: 2, atset2: 3, atset3: 4, osx: 5, 'xt-kbd': 6, usb: 7, win32: 8, qnum: 9 },
} as const;

type Affect = Flags<typeof affectFlags> & CallOptions;

export type AddressSource = keyof typeof addressSources;

export interface GuestInterface {
  name: string;
  mac: string | null;
  addresses: { family: 'ipv4' | 'ipv6' | 'unknown'; address: string; prefix: number }[];
}

export function domainDevices(session: Session) {
  return {
    async attachDevice(domain: DomainRef, xml: string, options?: Affect): Promise<void> {
      await session.call(
        calls.domainAttachDeviceFlags,
        { domain, xml, flags: flagBits(affectFlags, options) },
        options,
      );
    },

    /**
     * Takes a device out. Of a running guest this only asks: the device is gone when the `device-removed` event comes,
     * and stays when `device-removal-failed` does or the guest never answers.
     */
    async detachDevice(domain: DomainRef, xml: string, options?: Affect): Promise<void> {
      await session.call(
        calls.domainDetachDeviceFlags,
        { domain, xml, flags: flagBits(affectFlags, options) },
        options,
      );
    },

    /** As `detachDevice`, by alias. Of a running domain only. */
    async detachDeviceByAlias(domain: DomainRef, alias: string, options?: Affect): Promise<void> {
      const args = { domain, alias, flags: flagBits(affectFlags, options) };
      await session.call(calls.domainDetachDeviceAlias, args, options);
    },

    /** Changes a device in place: the disk in a drive (`force` opens a locked tray), the network of a card. */
    async updateDevice(
      domain: DomainRef,
      xml: string,
      options?: Flags<typeof updateFlags> & CallOptions,
    ): Promise<void> {
      await session.call(
        calls.domainUpdateDeviceFlags,
        { domain, xml, flags: flagBits(updateFlags, options) },
        options,
      );
    },

    /** Addresses of the guest's cards: from the DHCP leases of libvirt's networks, the guest agent, or the host's ARP table. */
    async interfaceAddresses(
      domain: DomainRef,
      source: AddressSource = 'lease',
      options?: CallOptions,
    ): Promise<GuestInterface[]> {
      const args = { domain, source: addressSources[source], flags: 0 };
      const { interfaces } = await session.call(calls.domainInterfaceAddresses, args, options);
      return interfaces.map(({ name, mac, addresses }) => ({
        name,
        mac,
        addresses: addresses.map(({ type, address, prefix }) => ({
          family: nameOf(addressFamilies, type),
          address,
          prefix,
        })),
      }));
    },

    /** Presses keys together for `holdMs` (default 50). At most 16. */
    async sendKey(
      domain: DomainRef,
      keyCodes: readonly number[],
      options?: { codeSet?: keyof typeof keyCodeSets; holdMs?: number } & CallOptions,
    ): Promise<void> {
      const { codeSet = 'linux', holdMs = 50 } = options ?? {};
      const args = { domain, codeSet: keyCodeSets[codeSet], holdMs, keyCodes, flags: 0 };
      await session.call(calls.domainSendKey, args, options);
    },

    /** Sends a non-maskable interrupt, which makes most guests dump and panic. */
    async injectNmi(domain: DomainRef, options?: CallOptions): Promise<void> {
      await session.call(calls.domainInjectNmi, { domain, flags: 0 }, options);
    },
  };
}
