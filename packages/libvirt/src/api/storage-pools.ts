// Storage pools. Owns no state; fails with LibvirtError (`NO_STORAGE_POOL`, `OPERATION_INVALID` ...).
import type { CallOptions } from '../connection/call-table.ts';
import type { Subscription } from '../connection/event-hub.ts';
import { type EventQueueOptions, queueEvents } from '../connection/event-queue.ts';
import type { Session } from '../connection/session.ts';
import type { StoragePoolRef, VolumeRef } from '../protocol/objects.ts';
import * as calls from '../protocol/storage-calls.ts';
import { type Flags, flagBits, nameOf } from './flags.ts';

const listFlags = { inactive: 1, active: 2, persistent: 4, transient: 8, autostart: 16, noAutostart: 32 } as const;
const createFlags = { build: 1, buildOverwrite: 2, buildNoOverwrite: 4 } as const;
const buildFlags = { repair: 1, resize: 2, noOverwrite: 4, overwrite: 8 } as const;
const states = ['inactive', 'building', 'running', 'degraded', 'inaccessible'] as const;
const lifecycleNames = ['defined', 'undefined', 'started', 'stopped', 'created', 'deleted'] as const;

export interface StoragePoolInfo {
  state: (typeof states)[number] | 'unknown';
  capacityBytes: number;
  allocationBytes: number;
  availableBytes: number;
}

export type StoragePoolEvent =
  | { kind: 'lifecycle'; pool: StoragePoolRef; event: (typeof lifecycleNames)[number] | 'unknown' }
  | { kind: 'refresh'; pool: StoragePoolRef };

export type StoragePools = ReturnType<typeof storagePools>;

export function storagePools(session: Session) {
  const onLifecycle = (listener: (event: StoragePoolEvent) => void, options?: CallOptions): Promise<Subscription> =>
    session.events.subscribe(
      calls.storagePoolLifecycle,
      ({ pool, event }) => listener({ kind: 'lifecycle', pool, event: nameOf(lifecycleNames, event) }),
      options,
    );
  const onRefresh = (listener: (event: StoragePoolEvent) => void, options?: CallOptions): Promise<Subscription> =>
    session.events.subscribe(calls.storagePoolRefreshed, ({ pool }) => listener({ kind: 'refresh', pool }), options);

  return {
    /** Lists pools; none of the filters set lists all. */
    async list(options?: Flags<typeof listFlags> & CallOptions): Promise<readonly StoragePoolRef[]> {
      const args = { needResults: true, flags: flagBits(listFlags, options) };
      return (await session.call(calls.connectListAllStoragePools, args, options)).pools;
    },

    async lookupByName(name: string, options?: CallOptions): Promise<StoragePoolRef> {
      return (await session.call(calls.storagePoolLookupByName, { name }, options)).pool;
    },

    async lookupByUuid(uuid: string, options?: CallOptions): Promise<StoragePoolRef> {
      return (await session.call(calls.storagePoolLookupByUuid, { uuid }, options)).pool;
    },

    async lookupByVolume(volume: VolumeRef, options?: CallOptions): Promise<StoragePoolRef> {
      return (await session.call(calls.storagePoolLookupByVolume, { volume }, options)).pool;
    },

    async lookupByTargetPath(path: string, options?: CallOptions): Promise<StoragePoolRef> {
      return (await session.call(calls.storagePoolLookupByTargetPath, { path }, options)).pool;
    },

    async defineXml(xml: string, options?: { validate?: boolean } & CallOptions): Promise<StoragePoolRef> {
      const flags = options?.validate ? 1 : 0;
      return (await session.call(calls.storagePoolDefineXml, { xml, flags }, options)).pool;
    },

    /** Starts a transient pool. */
    async createXml(xml: string, options?: Flags<typeof createFlags> & CallOptions): Promise<StoragePoolRef> {
      const flags = flagBits(createFlags, options);
      return (await session.call(calls.storagePoolCreateXml, { xml, flags }, options)).pool;
    },

    /** Starts a defined pool; `build` makes its folder or file system first. */
    async create(pool: StoragePoolRef, options?: Flags<typeof createFlags> & CallOptions): Promise<void> {
      await session.call(calls.storagePoolCreate, { pool, flags: flagBits(createFlags, options) }, options);
    },

    async build(pool: StoragePoolRef, options?: Flags<typeof buildFlags> & CallOptions): Promise<void> {
      await session.call(calls.storagePoolBuild, { pool, flags: flagBits(buildFlags, options) }, options);
    },

    /** Stops a pool; nothing stored is lost. */
    async destroy(pool: StoragePoolRef, options?: CallOptions): Promise<void> {
      await session.call(calls.storagePoolDestroy, { pool }, options);
    },

    /** Deletes what the pool lies on, and with it everything stored. */
    async delete(pool: StoragePoolRef, options?: CallOptions): Promise<void> {
      await session.call(calls.storagePoolDelete, { pool, flags: 0 }, options);
    },

    async undefine(pool: StoragePoolRef, options?: CallOptions): Promise<void> {
      await session.call(calls.storagePoolUndefine, { pool }, options);
    },

    /** Looks again at what is stored. */
    async refresh(pool: StoragePoolRef, options?: CallOptions): Promise<void> {
      await session.call(calls.storagePoolRefresh, { pool, flags: 0 }, options);
    },

    async info(pool: StoragePoolRef, options?: CallOptions): Promise<StoragePoolInfo> {
      const { state, ...sizes } = await session.call(calls.storagePoolGetInfo, { pool }, options);
      return { state: nameOf(states, state), ...sizes };
    },

    async xml(pool: StoragePoolRef, options?: { inactive?: boolean } & CallOptions): Promise<string> {
      const flags = options?.inactive ? 1 : 0;
      return (await session.call(calls.storagePoolGetXmlDesc, { pool, flags }, options)).xml;
    },

    async getAutostart(pool: StoragePoolRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.storagePoolGetAutostart, { pool }, options)).autostart;
    },

    async setAutostart(pool: StoragePoolRef, autostart: boolean, options?: CallOptions): Promise<void> {
      await session.call(calls.storagePoolSetAutostart, { pool, autostart }, options);
    },

    async isActive(pool: StoragePoolRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.storagePoolIsActive, { pool }, options)).active;
    },

    async isPersistent(pool: StoragePoolRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.storagePoolIsPersistent, { pool }, options)).persistent;
    },

    /** Looks for storage of a type that a pool could be made of. @returns XML `<sources>` */
    async findSources(type: string, options?: { sourceXml?: string } & CallOptions): Promise<string> {
      const args = { type, sourceXml: options?.sourceXml ?? null, flags: 0 };
      return (await session.call(calls.connectFindStoragePoolSources, args, options)).xml;
    },

    /** Calls `listener` when pools are defined, started, stopped ... Order as for domain events. */
    onLifecycle,
    /** Calls `listener` when the content of a pool has changed. */
    onRefresh,

    /** Both as an async iterator; overflow as for domain events. */
    events(options?: EventQueueOptions): AsyncGenerator<StoragePoolEvent, void, void> {
      return queueEvents((deliver) => Promise.all([onLifecycle(deliver), onRefresh(deliver)]), session.closed, options);
    },
  };
}
