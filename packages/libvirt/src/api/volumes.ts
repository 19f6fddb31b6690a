// Volumes in storage pools, and moving their content as streams. Owns no state; fails with LibvirtError
// (`NO_STORAGE_VOL`, `STORAGE_VOL_EXIST` ...). A transfer that broke off leaves a volume with part of the data.
import type { Readable, Writable } from 'node:stream';
import type { CallOptions } from '../connection/call-table.ts';
import type { Session } from '../connection/session.ts';
import type { StoragePoolRef, VolumeRef } from '../protocol/objects.ts';
import * as calls from '../protocol/storage-calls.ts';
import { type Flags, flagBits, nameOf } from './flags.ts';

const createFlags = { preallocateMetadata: 1, reflink: 2, validate: 4 } as const;
const deleteFlags = { zeroed: 1, withSnapshots: 2 } as const;
const resizeFlags = { allocate: 1, delta: 2, shrink: 4 } as const;
const types = ['file', 'block', 'directory', 'network', 'network-directory', 'ploop'] as const;
const wipeAlgorithms = {
  ...{ zero: 0, nnsa: 1, dod: 2, bsi: 3, gutmann: 4, schneier: 5, pfitzner7: 6, pfitzner33: 7, random: 8, trim: 9 },
} as const;
const sparseStream = 1;
const physicalSize = 1;

export interface VolumeInfo {
  type: (typeof types)[number] | 'unknown';
  capacityBytes: number;
  /** Bytes taken on the host; with `physical`, the size of the file. */
  allocationBytes: number;
}

/** Which part of a volume; default all of it. */
export interface VolumeRange {
  offsetBytes?: number | undefined;
  /** 0: up to the end. */
  lengthBytes?: number | undefined;
  /**
   * Move holes as holes: the stream is in object mode and carries buffers and `{ holeBytes }` (see StreamHole). For
   * files that libvirt reads raw.
   */
  sparse?: boolean | undefined;
}

export type Volumes = ReturnType<typeof volumes>;

export function volumes(session: Session) {
  const rangeArgs = (volume: VolumeRef, { offsetBytes = 0, lengthBytes = 0, sparse = false }: VolumeRange = {}) => ({
    volume,
    offsetBytes,
    lengthBytes,
    flags: sparse ? sparseStream : 0,
  });

  return {
    async list(pool: StoragePoolRef, options?: CallOptions): Promise<readonly VolumeRef[]> {
      const args = { pool, needResults: true, flags: 0 };
      return (await session.call(calls.storagePoolListAllVolumes, args, options)).volumes;
    },

    /** @throws LibvirtError `NO_STORAGE_VOL` */
    async lookupByName(pool: StoragePoolRef, name: string, options?: CallOptions): Promise<VolumeRef> {
      return (await session.call(calls.storageVolLookupByName, { pool, name }, options)).volume;
    },

    async lookupByKey(key: string, options?: CallOptions): Promise<VolumeRef> {
      return (await session.call(calls.storageVolLookupByKey, { key }, options)).volume;
    },

    async lookupByPath(path: string, options?: CallOptions): Promise<VolumeRef> {
      return (await session.call(calls.storageVolLookupByPath, { path }, options)).volume;
    },

    async createXml(
      pool: StoragePoolRef,
      xml: string,
      options?: Flags<typeof createFlags> & CallOptions,
    ): Promise<VolumeRef> {
      const args = { pool, xml, flags: flagBits(createFlags, options) };
      return (await session.call(calls.storageVolCreateXml, args, options)).volume;
    },

    /** A new volume with the content of another; `reflink` shares the blocks where the file system can. */
    async createXmlFrom(
      pool: StoragePoolRef,
      xml: string,
      source: VolumeRef,
      options?: Flags<typeof createFlags> & CallOptions,
    ): Promise<VolumeRef> {
      const args = { pool, xml, source, flags: flagBits(createFlags, options) };
      return (await session.call(calls.storageVolCreateXmlFrom, args, options)).volume;
    },

    async delete(volume: VolumeRef, options?: Flags<typeof deleteFlags> & CallOptions): Promise<void> {
      await session.call(calls.storageVolDelete, { volume, flags: flagBits(deleteFlags, options) }, options);
    },

    async info(volume: VolumeRef, options?: { physical?: boolean } & CallOptions): Promise<VolumeInfo> {
      const args = { volume, flags: options?.physical ? physicalSize : 0 };
      const { type, ...sizes } = await session.call(calls.storageVolGetInfoFlags, args, options);
      return { type: nameOf(types, type), ...sizes };
    },

    async xml(volume: VolumeRef, options?: CallOptions): Promise<string> {
      return (await session.call(calls.storageVolGetXmlDesc, { volume, flags: 0 }, options)).xml;
    },

    async path(volume: VolumeRef, options?: CallOptions): Promise<string> {
      return (await session.call(calls.storageVolGetPath, { volume }, options)).path;
    },

    /** Changes the capacity: to `capacityBytes`, or by it with `delta`. Data behind a smaller end is lost. */
    async resize(
      volume: VolumeRef,
      capacityBytes: number,
      options?: Flags<typeof resizeFlags> & CallOptions,
    ): Promise<void> {
      const args = { volume, capacityBytes, flags: flagBits(resizeFlags, options) };
      await session.call(calls.storageVolResize, args, options);
    },

    /** Overwrites the content, so that it cannot be read again. */
    async wipe(volume: VolumeRef, options?: { algorithm?: keyof typeof wipeAlgorithms } & CallOptions): Promise<void> {
      const args = { volume, algorithm: wipeAlgorithms[options?.algorithm ?? 'zero'], flags: 0 };
      await session.call(calls.storageVolWipePattern, args, options);
    },

    /** Reads a volume. The stream's `end` comes after libvirt confirmed that everything was sent. */
    async download(volume: VolumeRef, options?: VolumeRange & CallOptions): Promise<Readable> {
      const kind = { readable: true, writable: false, sparse: options?.sparse ?? false };
      return (await session.openStream(calls.storageVolDownload, rangeArgs(volume, options), kind, options)).stream;
    },

    /** Writes a volume, which must be large enough. The stream's `finish` comes after libvirt has written everything. */
    async upload(volume: VolumeRef, options?: VolumeRange & CallOptions): Promise<Writable> {
      const kind = { readable: false, writable: true, sparse: options?.sparse ?? false };
      return (await session.openStream(calls.storageVolUpload, rangeArgs(volume, options), kind, options)).stream;
    },
  };
}
