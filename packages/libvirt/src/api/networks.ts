// Virtual networks. Owns no state; fails with LibvirtError (`NO_NETWORK`, `XML_ERROR`, `OPERATION_INVALID` ...).
import type { CallOptions } from '../connection/call-table.ts';
import type { Subscription } from '../connection/event-hub.ts';
import { type EventQueueOptions, queueEvents } from '../connection/event-queue.ts';
import type { Session } from '../connection/session.ts';
import * as calls from '../protocol/network-calls.ts';
import type { NetworkRef } from '../protocol/objects.ts';
import { connectSupportsFeature, feature } from '../protocol/session-calls.ts';
import { type Flags, flagBits, nameOf } from './flags.ts';

const listFlags = { inactive: 1, active: 2, persistent: 4, transient: 8, autostart: 16, noAutostart: 32 } as const;
const xmlFlags = { inactive: 1 } as const;
const updateFlags = { live: 1, config: 2 } as const;
const updateCommands = { modify: 1, delete: 2, addLast: 3, addFirst: 4 } as const;
const updateSections = {
  bridge: 1,
  domain: 2,
  ip: 3,
  ipDhcpHost: 4,
  ipDhcpRange: 5,
  forward: 6,
  forwardInterface: 7,
  forwardPf: 8,
  portgroup: 9,
  dnsHost: 10,
  dnsTxt: 11,
  dnsSrv: 12,
} as const;
const lifecycleNames = ['defined', 'undefined', 'started', 'stopped'] as const;
const addressFamilies = ['ipv4', 'ipv6'] as const;

export type NetworkUpdateCommand = keyof typeof updateCommands;
export type NetworkUpdateSection = keyof typeof updateSections;

export interface NetworkUpdate {
  command: NetworkUpdateCommand;
  section: NetworkUpdateSection;
  /** The element, e.g. `<host mac='52:54:00:00:00:01' ip='10.0.0.5'/>` for `ipDhcpHost`. */
  xml: string;
  /** Which parent element, counted from 0; default -1: the first that fits. */
  parentIndex?: number;
}

export interface DhcpLease {
  interface: string;
  expiresAt: Date;
  family: 'ipv4' | 'ipv6' | 'unknown';
  mac: string | null;
  iaid: string | null;
  address: string;
  prefix: number;
  hostname: string | null;
  clientId: string | null;
}

export interface NetworkEvent {
  kind: 'lifecycle';
  network: NetworkRef;
  event: (typeof lifecycleNames)[number] | 'unknown';
}

export type Networks = ReturnType<typeof networks>;

export function networks(session: Session) {
  /** Before libvirt 7.2 every daemon read command and section the other way round; a feature bit tells. */
  let swapped: Promise<boolean> | undefined;
  const argumentsSwapped = (): Promise<boolean> => {
    const asked = session.call(connectSupportsFeature, { feature: feature.networkUpdateHasCorrectOrder });
    const answer = asked.then(({ supported }) => !supported);
    answer.catch(() => {
      swapped = undefined;
    });
    return answer;
  };

  const on = (listener: (event: NetworkEvent) => void, options?: CallOptions): Promise<Subscription> =>
    session.events.subscribe(
      calls.networkLifecycle,
      ({ network, event }) => listener({ kind: 'lifecycle', network, event: nameOf(lifecycleNames, event) }),
      options,
    );

  return {
    /** Lists networks; none of the filters set lists all. */
    async list(options?: Flags<typeof listFlags> & CallOptions): Promise<readonly NetworkRef[]> {
      const flags = flagBits(listFlags, options);
      return (await session.call(calls.connectListAllNetworks, { needResults: true, flags }, options)).networks;
    },

    /** @throws LibvirtError `NO_NETWORK` */
    async lookupByName(name: string, options?: CallOptions): Promise<NetworkRef> {
      return (await session.call(calls.networkLookupByName, { name }, options)).network;
    },

    /** @throws LibvirtError `NO_NETWORK` */
    async lookupByUuid(uuid: string, options?: CallOptions): Promise<NetworkRef> {
      return (await session.call(calls.networkLookupByUuid, { uuid }, options)).network;
    },

    /** Makes a network permanent, or replaces the definition of the one with the same UUID and name. */
    async defineXml(xml: string, options?: { validate?: boolean } & CallOptions): Promise<NetworkRef> {
      // The call with flags is newer (7.8), so it is used only where it is needed.
      if (options?.validate)
        return (await session.call(calls.networkDefineXmlFlags, { xml, flags: 1 }, options)).network;
      return (await session.call(calls.networkDefineXml, { xml }, options)).network;
    },

    /** Starts a transient network. */
    async createXml(xml: string, options?: CallOptions): Promise<NetworkRef> {
      return (await session.call(calls.networkCreateXml, { xml }, options)).network;
    },

    /** Starts a defined network. */
    async create(network: NetworkRef, options?: CallOptions): Promise<void> {
      await session.call(calls.networkCreate, { network }, options);
    },

    /** Stops a network. Its definition stays. */
    async destroy(network: NetworkRef, options?: CallOptions): Promise<void> {
      await session.call(calls.networkDestroy, { network }, options);
    },

    async undefine(network: NetworkRef, options?: CallOptions): Promise<void> {
      await session.call(calls.networkUndefine, { network }, options);
    },

    async xml(network: NetworkRef, options?: Flags<typeof xmlFlags> & CallOptions): Promise<string> {
      const flags = flagBits(xmlFlags, options);
      return (await session.call(calls.networkGetXmlDesc, { network, flags }, options)).xml;
    },

    async getAutostart(network: NetworkRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.networkGetAutostart, { network }, options)).autostart;
    },

    async setAutostart(network: NetworkRef, autostart: boolean, options?: CallOptions): Promise<void> {
      await session.call(calls.networkSetAutostart, { network, autostart }, options);
    },

    async isActive(network: NetworkRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.networkIsActive, { network }, options)).active;
    },

    async isPersistent(network: NetworkRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.networkIsPersistent, { network }, options)).persistent;
    },

    /** Name of the host bridge. @throws LibvirtError `INTERNAL_ERROR` the network has none */
    async bridgeName(network: NetworkRef, options?: CallOptions): Promise<string> {
      return (await session.call(calls.networkGetBridgeName, { network }, options)).name;
    },

    /** Leases that the network's DHCP server has given, of one card when `mac` is set. */
    async dhcpLeases(network: NetworkRef, options?: { mac?: string } & CallOptions): Promise<DhcpLease[]> {
      const args = { network, mac: options?.mac ?? null, needResults: true, flags: 0 };
      const { leases } = await session.call(calls.networkGetDhcpLeases, args, options);
      return leases.map(({ expiryTime, type, ...lease }) => ({
        ...lease,
        expiresAt: new Date(Number(expiryTime) * 1000),
        family: nameOf(addressFamilies, type),
      }));
    },

    /**
     * Changes one element of a network: in the running one (`live`), in the definition (`config`), or both; with
     * neither, in the running network if it runs, else in the definition.
     * @see libvirt virNetworkUpdate
     */
    async update(
      network: NetworkRef,
      update: NetworkUpdate,
      options?: Flags<typeof updateFlags> & CallOptions,
    ): Promise<void> {
      swapped ??= argumentsSwapped();
      const command = updateCommands[update.command];
      const section = updateSections[update.section];
      const order = (await swapped) ? { command: section, section: command } : { command, section };
      const { xml, parentIndex = -1 } = update;
      const args = { network, ...order, parentIndex, xml, flags: flagBits(updateFlags, options) };
      await session.call(calls.networkUpdate, args, options);
    },

    /** Calls `listener` when networks are defined, undefined, started or stopped. Order as for domain events. */
    on,

    /** The same as an async iterator; overflow as for domain events. */
    events(options?: EventQueueOptions): AsyncGenerator<NetworkEvent, void, void> {
      return queueEvents(async (deliver) => [await on(deliver)], session.closed, options);
    },
  };
}
