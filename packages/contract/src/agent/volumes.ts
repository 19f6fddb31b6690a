// Volumes on a host: disks with a life of their own, which a guest may have or not. Whole desired objects, as all that is
// asked of a host.
import { type Static, Type } from 'typebox';
import { IdSchema, type VolumeId } from '../ids.ts';
import type { CallContext } from './call-context.ts';
import { RestoredDisk } from './desired.ts';
import { DesiredPool } from './pools.ts';
import { SnapshotDisk } from './snapshots.ts';

/** `qcow2` takes what was written to it; snapshots, encryption. `raw`: a guest's blocks as they are. */
export const VolumeFormat = Type.Union([Type.Literal('qcow2'), Type.Literal('raw')]);
export type VolumeFormat = Static<typeof VolumeFormat>;

/**
 * What is taken from the pool at once. `off`: nothing. `metadata`: the tables of a qcow2. `falloc`: all of it, unwritten.
 * `full`: all of it, written.
 */
export const Preallocation = Type.Union([
  Type.Literal('off'),
  Type.Literal('metadata'),
  Type.Literal('falloc'),
  Type.Literal('full'),
]);
export type Preallocation = Static<typeof Preallocation>;

/**
 * What a volume has in it at first. A linked clone rests on the image, takes no time, and keeps the image; a full one is a
 * copy, which shares blocks with the image where the file system can do that.
 */
export const VolumeSource = Type.Object({
  imageId: IdSchema('image'),
  clone: Type.Union([Type.Literal('linked'), Type.Literal('full')]),
});
export type VolumeSource = Static<typeof VolumeSource>;

/** What becomes of the content of a volume that is deleted: nothing in particular, or it is overwritten before. */
export const VolumeWipe = Type.Union([Type.Literal('none'), Type.Literal('zero')]);

export const DesiredVolume = Type.Object({
  id: IdSchema('volume'),
  cloudId: Type.String(),
  generation: Type.Integer(),
  name: Type.String(),
  sizeBytes: Type.Integer({ description: 'only ever grows' }),
  /** What is on it may be lost: no backups, and any cache mode. Default false. */
  scratch: Type.Optional(Type.Boolean()),
  /** Where it lies; absent: in the host's own storage. */
  pool: Type.Optional(DesiredPool),
  /** Default qcow2, in an RBD pool raw. */
  format: Type.Optional(VolumeFormat),
  /** Default off. */
  preallocation: Type.Optional(Preallocation),
  /** Absent: it is empty at first. */
  source: Type.Optional(VolumeSource),
  /** It is made as a copy of that, and rests on nothing afterwards: the snapshot must stay until it is there. */
  snapshot: Type.Optional(SnapshotDisk),
  restored: Type.Optional(RestoredDisk),
  /** It is encrypted (LUKS) with this passphrase, which is never written down on the host. */
  passphrase: Type.Optional(Type.String()),
  /** It has been made before: when it is gone, an empty one in its place would hide the loss. */
  mustExist: Type.Boolean(),
  /** What the control plane needs to rebuild its row from the host; agents keep it and look at nothing of it. */
  keepsake: Type.Record(Type.String(), Type.Unknown()),
});
export type DesiredVolume = Static<typeof DesiredVolume>;

export const ObservedVolume = Type.Object({
  id: IdSchema('volume'),
  cloudId: Type.String(),
  /** The last one applied; 0 when only leftovers of it are there. */
  generation: Type.Integer(),
  name: Type.String(),
  sizeBytes: Type.Integer({ description: 'what the guest sees' }),
  /** What it takes from the pool; null where that is not known. */
  usedBytes: Type.Union([Type.Integer(), Type.Null()]),
  scratch: Type.Optional(Type.Boolean()),
  /** Absent: the host's own storage. */
  poolId: Type.Optional(IdSchema('pool')),
  format: Type.Optional(VolumeFormat),
  preallocation: Type.Optional(Preallocation),
  source: Type.Optional(VolumeSource),
  snapshot: Type.Optional(SnapshotDisk),
  encrypted: Type.Optional(Type.Boolean()),
  keepsake: Type.Record(Type.String(), Type.Unknown()),
  /** False when its disk is missing. */
  intact: Type.Boolean(),
});
export type ObservedVolume = Static<typeof ObservedVolume>;

export type VolumeToDelete = { id: VolumeId; cloudId: string; wipe?: Static<typeof VolumeWipe> | undefined };

/** The part of a host agent that looks after volumes. */
export interface VolumeKeeping {
  /**
   * Makes a volume, or grows it, also while a running guest has it. Idempotent; never shrinks one.
   * @throws StorageFull | NotFound the image or the snapshot is not on the host | InvalidArgument the pool cannot have such a volume |
   *   PoolUnusable | HypervisorRefused it must exist and does not | Conflict another cloud's, or a newer generation has
   *   been applied | HostUnavailable retry later
   */
  applyVolume(desired: DesiredVolume, context?: CallContext): Promise<ObservedVolume>;
  /**
   * Removes a volume, overwritten with zeroes before when `wipe` says so. Nothing there is success. Never touches another
   * cloud's.
   * @throws InUse a domain has it
   */
  deleteVolume(volume: VolumeToDelete, context?: CallContext): Promise<void>;
  /** Every volume of this cloud on the host, also those of which only a folder is left. */
  listVolumes(cloudId: string, context?: CallContext): Promise<ObservedVolume[]>;
}
