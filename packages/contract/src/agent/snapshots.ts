// Snapshots of instances on a host, and disks made from them. A snapshot keeps all disks of an instance as they were at one
// moment, and its memory when that is asked for; it is made once, and never changes.
import { type Static, Type } from 'typebox';
import { IdSchema, type SnapshotId } from '../ids.ts';
import type { CallContext } from './call-context.ts';

const InstanceOfSnapshot = Type.Object({
  id: IdSchema('instance'),
  uuid: Type.String(),
  domainName: Type.String(),
});

export const DesiredSnapshot = Type.Object({
  id: IdSchema('snapshot'),
  cloudId: Type.String(),
  name: Type.String(),
  instance: InstanceOfSnapshot,
  /** Also what the guest has in memory, so that it goes on from there. It must be on. */
  memory: Type.Boolean(),
  /** It has been taken before: when it is gone, one of now in its place would hide the loss. */
  mustExist: Type.Boolean(),
  /** What the control plane needs to rebuild its row from the host; agents keep it and look at nothing of it. */
  keepsake: Type.Record(Type.String(), Type.Unknown()),
});
export type DesiredSnapshot = Static<typeof DesiredSnapshot>;

/** A disk as a snapshot keeps it. */
export const SnapshotDisk = Type.Object({
  id: IdSchema('snapshot'),
  instanceId: IdSchema('instance'),
  diskId: IdSchema('volume'),
});
export type SnapshotDisk = Static<typeof SnapshotDisk>;

/**
 * What the disks hold. `filesystem`: the guest had written everything, and stood still. `crash`: as after a loss of power.
 * `memory`: with the memory that belongs to it. `off`: it was off.
 */
export const SnapshotConsistency = Type.Union([
  Type.Literal('filesystem'),
  Type.Literal('crash'),
  Type.Literal('memory'),
  Type.Literal('off'),
]);
export type SnapshotConsistency = Static<typeof SnapshotConsistency>;

/** What a machine keeps that is on none of its disks. */
export const MachineState = Type.Union([Type.Literal('uefi-variables'), Type.Literal('tpm')]);
export type MachineState = Static<typeof MachineState>;

export const ObservedSnapshot = Type.Object({
  id: IdSchema('snapshot'),
  cloudId: Type.String(),
  name: Type.String(),
  instanceId: IdSchema('instance'),
  takenAt: Type.String(),
  consistency: SnapshotConsistency,
  memory: Type.Boolean(),
  /** As it was at that moment. */
  machineState: Type.Array(MachineState),
  /** The root disk first. Each where it was in the guest, such as vdc, which earlier versions did not write down. */
  disks: Type.Array(
    Type.Object({ id: IdSchema('volume'), sizeBytes: Type.Integer(), target: Type.Optional(Type.String()) }),
  ),
  /** What would be free without it: of files that nothing else needs. */
  usedBytes: Type.Integer(),
  /** Instances whose disks rest on it. */
  clones: Type.Array(IdSchema('instance')),
  keepsake: Type.Record(Type.String(), Type.Unknown()),
  /** False when a file of it is missing. */
  intact: Type.Boolean(),
});
export type ObservedSnapshot = Static<typeof ObservedSnapshot>;

export type SnapshotToRevert = {
  id: SnapshotId;
  cloudId: string;
  instance: Static<typeof InstanceOfSnapshot>;
  /** Of this revert: one that has been done is not done again. */
  token: string;
};

export type SnapshotToDelete = { id: SnapshotId; cloudId: string; instance: Static<typeof InstanceOfSnapshot> };

/** A new instance whose root disk is that of a snapshot. It has no domain yet: that comes with its first `applyInstance`. */
export const DesiredClone = Type.Object({
  id: IdSchema('instance'),
  cloudId: Type.String(),
  uuid: Type.String(),
  domainName: Type.String(),
  /** What its root disk is called, in Ceph too when that of the snapshot lies there. */
  rootDiskId: IdSchema('volume'),
  snapshot: Type.Object({ id: IdSchema('snapshot'), instance: InstanceOfSnapshot }),
  /** `linked`: rests on the snapshot, which must stay, and takes no time. `full`: a copy that needs nothing else. */
  kind: Type.Union([Type.Literal('linked'), Type.Literal('full')]),
});
export type DesiredClone = Static<typeof DesiredClone>;

/** The part of a host agent that looks after snapshots. */
export interface SnapshotKeeping {
  /**
   * Takes a snapshot, of a guest that runs without stopping it. Idempotent: one that is there is told again. The guest's file
   * systems are frozen meanwhile where its agent does that.
   * @throws Conflict it is hibernated, adopted, or off when its memory is to be kept; or somebody has put its disks on other
   *   files | HypervisorRefused a disk cannot have snapshots; or it must exist and does not
   * @throws NotFound there is no such instance; or this agent has no passphrase of an encrypted volume: it keeps those of `applyVolume` in
   *   memory, for all calls here | StorageFull | HostUnavailable retry later
   */
  applySnapshot(desired: DesiredSnapshot, context?: CallContext): Promise<ObservedSnapshot>;
  /**
   * Puts the disks of an instance that is off back to what they were, and what its machine keeps beside them; what was written
   * since is gone, unless another snapshot keeps it. With the memory of the snapshot, when it has one, the guest goes on from there and runs.
   * @throws Conflict it is on or hibernated, or has other disks now | NotFound | StorageFull | HostUnavailable
   */
  revertSnapshot(snapshot: SnapshotToRevert, context?: CallContext): Promise<void>;
  /**
   * Forgets a snapshot, and merges what only it needed, also while the guest runs. Nothing there is success; a call that was
   * cut short is gone on with by the next.
   * @throws InUse clones rest on it, or volumes are being made of it | HostUnavailable
   */
  deleteSnapshot(snapshot: SnapshotToDelete, context?: CallContext): Promise<void>;
  /**
   * Ends a deletion that goes no further, once the call that deletes has ended. `kept`: nothing of it had been done. Otherwise the
   * snapshot is gone, and what was being merged is left in the files that it is in until the next deletion. Idempotent.
   */
  cancelDeletion(snapshot: SnapshotToDelete, context?: CallContext): Promise<{ kept: boolean }>;
  /** Every snapshot of this cloud on the host. */
  listSnapshots(cloudId: string, context?: CallContext): Promise<ObservedSnapshot[]>;
  /**
   * Makes the root disk of a clone, and its UEFI variables; a TPM it has a new one. Idempotent. Removed by `deleteInstance`, as long as it is no instance yet.
   * @throws NotFound the snapshot is not there | StorageFull | Conflict
   */
  makeClone(clone: DesiredClone, context?: CallContext): Promise<void>;
}
