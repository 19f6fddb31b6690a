// Moves of volumes and root disks from one pool of a host to another, also while a guest writes to them. A move is called again with the same
// token until it has ended; what a crash interrupts at any moment is gone on with, and at every moment one place counts.
import { type Static, Type } from 'typebox';
import { IdSchema, type VolumeId } from '../ids.ts';
import type { CallContext } from './call-context.ts';
import { DesiredVolume, type VolumeToDelete } from './volumes.ts';

export const DesiredMove = Type.Object({
  /** Of this move. */
  token: Type.String(),
  /** As it is to be afterwards: in another pool, perhaps of another format, of a newer generation. */
  volume: DesiredVolume,
  /** The instance that has it, on or off; null: none has. */
  holder: Type.Union([Type.Object({ id: IdSchema('instance'), uuid: Type.String() }), Type.Null()]),
  /** It is no volume, but the root disk of the holder, whose generation it has. The folder of the instance stays where it is. */
  isRoot: Type.Optional(Type.Literal(true)),
  /** No faster than that; absent: as fast as it goes. */
  bandwidthBytesPerSecond: Type.Optional(Type.Integer({ minimum: 1 })),
});
export type DesiredMove = Static<typeof DesiredMove>;

export type MoveIdentity = { token: string; volumeId: VolumeId; cloudId: string };

export type ObservedMove = MoveIdentity & {
  /** The new place counts, and the old one is to be removed. */
  isSwitched: boolean;
};

/** The part of a host agent that moves volumes. */
export interface VolumeMoving {
  /**
   * Copies a volume to its new place. Of a guest that runs, all that it writes goes to both from then on; the old place counts
   * until {@link switchVolume}. Ends at once when the copy is whole.
   * @throws Conflict it is hibernated, snapshots rest on it, a backup of it is being made, or another move of it is under way |
   *   StorageFull | InvalidArgument it cannot lie there | PoolUnusable | NotFound it is not on the host | HypervisorRefused |
   *   HostUnavailable retry later
   */
  copyVolume(move: DesiredMove, context?: CallContext): Promise<void>;
  /**
   * Lets the new place count, at one moment. False: the guest has been started or stopped since it was copied, so that it has
   * to be copied again. Once it is so, nothing but HostUnavailable is thrown.
   * @throws NotFound there is no such move | HostUnavailable retry later
   */
  switchVolume(move: DesiredMove, context?: CallContext): Promise<boolean>;
  /**
   * Removes what is left in the old place, overwritten before when `wipe` says so, and ends the move. One that has ended is
   * success. @throws NotFound the new place does not count | HostUnavailable
   */
  finishMove(move: MoveIdentity & Pick<VolumeToDelete, 'wipe'>, context?: CallContext): Promise<void>;
  /** Takes back all that a move has done. One that never began is success. @throws Conflict the new place counts already */
  cancelMove(move: MoveIdentity, context?: CallContext): Promise<void>;
  /** Moves of this cloud that have not ended. */
  listMoves(cloudId: string, context?: CallContext): Promise<ObservedMove[]>;
}
