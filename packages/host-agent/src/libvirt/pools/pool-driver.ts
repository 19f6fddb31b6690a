// What every kind of storage does for volumes. A volume is a folder with its record, at a place that the driver names, and a
// disk that the driver makes. Who calls it holds the lock of the volume, and has the folder made and named.
import type { PoolAbilities } from '@virga/contract/agent/pools';
import type { Preallocation, VolumeFormat } from '@virga/contract/agent/volumes';
import type { VolumeId } from '@virga/contract/ids';
import type { DiskSource } from '../disks/disk-source.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import type { StorageSpace } from '../storage.ts';

/** A disk that is to be made. */
export type NewDisk = {
  format: VolumeFormat;
  sizeBytes: number;
  preallocation: Preallocation;
  /** What is in it at first; undefined: nothing. */
  source?: { image: BaseImage; clone: 'linked' | 'full' } | undefined;
  passphrase?: string | undefined;
};

/** A disk that is there. */
export type PresentDisk = {
  id: VolumeId;
  format: VolumeFormat;
  encrypted: boolean;
  passphrase?: string | undefined;
};

/** What programs of QEMU's know the key of a disk by. */
export const keyId = 'key';

export type DiskWork = {
  signal?: AbortSignal | undefined;
  onProgress?: ((percent: number) => void) | undefined;
  /** Runs before what was made gets its name. */
  beforeRename?: (() => void | Promise<void>) | undefined;
};

/** @property usedBytes null: not known now */
export type Measure = { sizeBytes: number; usedBytes: number | null };

export interface PoolDriver {
  /** Where the folders of its volumes lie. */
  readonly home: string;
  /** Whether it is there now. @throws PoolUnusable | HostUnavailable */
  require(): Promise<void>;
  /** Tries out what it can do. @throws PoolUnusable */
  abilities(): Promise<PoolAbilities>;
  space(): Promise<StorageSpace>;
  /** @throws StorageFull too little is free for a disk that takes so much at once */
  requireSpace(neededBytes: number): Promise<void>;
  /** @param folder of the volume, which has no disk @throws CommandFailed */
  makeDisk(folder: string, id: VolumeId, disk: NewDisk, work: DiskWork): Promise<void>;
  /** What a guest sees; undefined: the disk is gone. */
  sizeOf(folder: string, id: VolumeId, encrypted?: boolean): Promise<number | undefined>;
  /** What it takes from the pool; null: not known. */
  usedBytes(folder: string, id: VolumeId): Promise<number | null>;
  /** Both of every volume in the pool, in one question, with the header of an encrypted one; absent where each is asked for by itself. */
  measureAll?(): Promise<ReadonlyMap<string, Measure>>;
  /** Of one that no guest has. @throws CommandFailed */
  grow(folder: string, disk: PresentDisk, sizeBytes: number, work: DiskWork): Promise<void>;
  /** Overwrites all that is written of it. May be called again. */
  wipe(folder: string, id: VolumeId, work: DiskWork): Promise<void>;
  /** Removes what is not in the folder. */
  removeDisk(id: VolumeId): Promise<void>;
  /** Whether some other host has it open. */
  isOpenElsewhere(folder: string): Promise<boolean>;
  source(folder: string, disk: PresentDisk, base: DiskSource | undefined): Promise<DiskSource>;
  /** See `diskName`; nobody need ask the pool for it. */
  nameOf(folder: string, disk: PresentDisk): string;
  /**
   * Gives it to a program of QEMU's, which no guest has it open for. @param use gets the options that open it; its key, if it has
   * one, is the secret {@link keyId}
   */
  withImage<T>(folder: string, disk: PresentDisk, use: (options: string) => Promise<T>): Promise<T>;
  /** Remembers what is in it; there is one mark of a disk. @returns what {@link isAsMarked} is asked with */
  markContent(folder: string, disk: PresentDisk): Promise<string>;
  /** Whether nobody has written to it since. */
  isAsMarked(folder: string, disk: PresentDisk, mark: string): Promise<boolean>;
  /** Idempotent. */
  forgetMark(id: VolumeId): Promise<void>;
  /** When it was written to last, in nanoseconds; 0: not since it was marked; undefined: it is not there. */
  writtenAt(folder: string, disk: PresentDisk): Promise<bigint | undefined>;
}
