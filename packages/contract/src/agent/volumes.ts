// Volumes on a host: disks with a life of their own, which a guest may have or not. Whole desired objects, as all that is
// asked of a host.
import { type Static, Type } from 'typebox';
import { IdSchema, type VolumeId } from '../ids.ts';
import type { CallContext } from './call-context.ts';

export const DesiredVolume = Type.Object({
  id: IdSchema('volume'),
  cloudId: Type.String(),
  generation: Type.Integer(),
  name: Type.String(),
  sizeBytes: Type.Integer({ description: 'only ever grows' }),
  /** What is on it may be lost: no backups, and any cache mode. Default false. */
  scratch: Type.Optional(Type.Boolean()),
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
  scratch: Type.Optional(Type.Boolean()),
  keepsake: Type.Record(Type.String(), Type.Unknown()),
  /** False when its disk is missing. */
  intact: Type.Boolean(),
});
export type ObservedVolume = Static<typeof ObservedVolume>;

/** The part of a host agent that looks after volumes. */
export interface VolumeKeeping {
  /**
   * Makes a volume, or grows it, also while a running guest has it. Idempotent; never shrinks one.
   * @throws StorageFull | HypervisorRefused it must exist and does not | Conflict another cloud's, or a newer generation has
   *   been applied | HostUnavailable retry later
   */
  applyVolume(desired: DesiredVolume, context?: CallContext): Promise<ObservedVolume>;
  /** Removes a volume. Nothing there is success. Never touches another cloud's. @throws InUse a domain has it */
  deleteVolume(volume: { id: VolumeId; cloudId: string }, context?: CallContext): Promise<void>;
  /** Every volume of this cloud on the host, also those of which only a folder is left. */
  listVolumes(cloudId: string, context?: CallContext): Promise<ObservedVolume[]>;
}
