// Backups as a host makes and restores them. A backup of an instance is the content of its disks at one moment, in a store that
// restic keeps; an incremental one has what has changed since another. The control plane knows which backups there are and
// which rest on which; a host knows how to read and write them, and keeps only what is under way.
import { type Static, Type } from 'typebox';
import { type BackupId, type BackupStoreId, IdSchema, type InstanceId, type RestoreId, type VolumeId } from '../ids.ts';
import type { CallContext } from './call-context.ts';

export const BackupPlace = Type.Union([
  Type.Object({ kind: Type.Literal('directory'), path: Type.String({ description: 'absolute, on the host' }) }),
  Type.Object({
    kind: Type.Literal('s3'),
    endpoint: Type.String({ description: 'http or https, host and port' }),
    bucket: Type.String(),
    /** Beginning of the names of all objects. */
    prefix: Type.String(),
    region: Type.String(),
    /** Certificates that the endpoint may be signed with, PEM; null: those that the host trusts. */
    ca: Type.Union([Type.String(), Type.Null()]),
  }),
]);
export type BackupPlace = Static<typeof BackupPlace>;

/** A store with what opens it: neither is to be written to a disk of the host, or shown to other programs. */
export type BackupStoreAccess = {
  id: BackupStoreId;
  cloudId: string;
  place: BackupPlace;
  /** Of the encryption, which every store has. */
  password: string;
  s3Keys?: { accessKeyId: string; secretAccessKey: string } | undefined;
  /** To and from the store; null: no limit. */
  limitBytesPerSecond: number | null;
};

/** Why a backup has everything in it. */
export const FullReason = Type.Union([
  Type.Literal('first', { description: 'there is none in this store that it could rest on' }),
  Type.Literal('asked'),
  Type.Literal('off', { description: 'nothing records what has changed while the instance is off' }),
  Type.Literal('chain-broken', { description: 'what was recorded since the last one is lost, or was not kept' }),
  Type.Literal('disks-changed', { description: 'the instance has other disks, or of another size' }),
  Type.Literal('synthetic', { description: 'made in the store of a full one and those that rested on it' }),
]);
export type FullReason = Static<typeof FullReason>;

/** The content of a disk, or what has changed of it, in the store. */
export const StoredDisk = Type.Object({
  id: IdSchema('volume'),
  role: Type.Union([Type.Literal('root'), Type.Literal('data')]),
  sizeBytes: Type.Integer({ description: 'of the disk, as a guest sees it' }),
  full: Type.Boolean({ description: 'all of it, not only what has changed' }),
  /** What was read of it: all that is not empty, or all that has changed. */
  dataBytes: Type.Integer(),
  /** Of what was handed to the store. */
  sha256: Type.String(),
  snapshotId: Type.String(),
});
export type StoredDisk = Static<typeof StoredDisk>;

export type DesiredBackup = {
  id: BackupId;
  cloudId: string;
  store: BackupStoreAccess;
  instance: { id: InstanceId; uuid: string; domainName: string };
  /** What it may rest on: the last backup of the instance in this store. */
  parent: { id: BackupId; disks: readonly Pick<StoredDisk, 'id' | 'sizeBytes'>[] } | null;
  full: boolean;
  /** File systems are frozen through the guest's agent for the moment that the backup is of, where it answers. */
  freezes: boolean;
  /** Volumes that it leaves out. */
  leavesOut: readonly VolumeId[];
  /** Backups of any store that later ones may rest on: what is recorded since any other is forgotten. */
  kept: readonly BackupId[];
  /** What the control plane wants to find in the store with it, when it has lost its database. */
  keepsake: Record<string, unknown>;
};

export const FinishedBackup = Type.Object({
  id: IdSchema('backup'),
  fullReason: Type.Union([FullReason, Type.Null()], { description: 'null: incremental' }),
  frozen: Type.Boolean({ description: "the guest's file systems stood still for it" }),
  takenAt: Type.String({ description: 'the moment that it is of' }),
  disks: Type.Array(StoredDisk),
  addedBytes: Type.Integer({ description: 'what the store took for it, before compression' }),
  settingsSnapshotId: Type.String({ description: 'the definition of the instance and what else is not on its disks' }),
});
export type FinishedBackup = Static<typeof FinishedBackup>;

/** What a backup is, as it lies in the store beside its disks: all that is needed to restore it where nothing knows of it. */
export const StoredBackup = Type.Object({
  cloudId: Type.String(),
  parentId: Type.Union([IdSchema('backup'), Type.Null()]),
  made: FinishedBackup,
  keepsake: Type.Record(Type.String(), Type.Unknown()),
});
export type StoredBackup = Static<typeof StoredBackup>;

/** Backups in order, the full one first, that together are the content of a disk. */
export type DiskChain = readonly Pick<StoredDisk, 'snapshotId' | 'sha256' | 'sizeBytes' | 'dataBytes'>[];

export type DesiredRestore = {
  id: RestoreId;
  cloudId: string;
  store: BackupStoreAccess;
  disks: readonly { id: VolumeId; chain: DiskChain }[];
  /** Of what the machine keeps beside its disks; undefined: that stays as it is. */
  settingsSnapshotId?: string | undefined;
  /** They are to take the place of disks that may rest on an image: nothing of it may show through. */
  hidesBase: boolean;
};

export type StoreSnapshot = { id: string; backupId: BackupId | undefined; at: string };

/** Machines that are made to test a backup are no instances of the cloud, and nobody else's either. */
export const restoreTestCloud = (cloudId: string): string => `restore-test.${cloudId}`;

/** Backups on a host. */
export interface BackupKeeping {
  /**
   * Makes the store if there is none at that place, and opens it.
   * @throws BackupStoreUnavailable it cannot be reached, or the password does not open it
   */
  openBackupStore(store: BackupStoreAccess, context?: CallContext): Promise<{ created: boolean }>;
  /**
   * Makes a backup of an instance, which goes on meanwhile. Goes on after a crash with what it had. Where the store cannot be
   * reached, what was read of the disks is kept for the next call. Progress is told once the guest is frozen no more.
   * @throws NotFound no such instance | StorageFull no room for what is read | BackupStoreUnavailable | Conflict another backup of
   *   it, or a snapshot, is under way | HostUnavailable
   */
  makeBackup(desired: DesiredBackup, context?: CallContext): Promise<FinishedBackup>;
  /** Forgets what is kept of a backup that was made, or gives one up. Idempotent. What has reached the store stays there. */
  endBackup(
    backup: { id: BackupId; cloudId: string; instance: { id: InstanceId; uuid: string }; made: boolean },
    context?: CallContext,
  ): Promise<void>;
  /** Makes of a chain what a full backup of its last would be, without the instance. Goes on after a crash from the beginning. */
  mergeBackup(
    desired: {
      id: BackupId;
      cloudId: string;
      store: BackupStoreAccess;
      settingsSnapshotId: string;
      disks: (StoredDisk & { chain: DiskChain })[];
    },
    context?: CallContext,
  ): Promise<Pick<FinishedBackup, 'disks' | 'addedBytes' | 'settingsSnapshotId'>>;
  /**
   * Fetches disks from a store and keeps them until an instance or a volume that names the restore takes them, or it is ended.
   * Who takes the root disk has the UEFI variables too, and a TPM of its own.
   * Idempotent. @throws BackupUnusable what is in the store is not what was put there | StorageFull | BackupStoreUnavailable
   */
  fetchRestore(desired: DesiredRestore, context?: CallContext): Promise<void>;
  /**
   * Puts what was fetched in the place of the disks that an instance has, which are kept until the restore is ended, and of its
   * UEFI variables and TPM. The instance must be off. Idempotent. @throws Conflict it is on | NotFound nothing was fetched
   */
  swapDisks(restore: RestoreSwap, context?: CallContext): Promise<void>;
  /** Whether what is to be fetched could be put there. @throws Conflict as of swapDisks, and for each disk that cannot be replaced */
  checkSwap(restore: RestoreSwap, context?: CallContext): Promise<void>;
  /** Puts the disks back that were there before. Idempotent. */
  swapDisksBack(restore: RestoreSwap, context?: CallContext): Promise<void>;
  /** Removes what was fetched and not taken, and what was replaced. Idempotent. */
  endRestore(restore: { id: RestoreId; cloudId: string }, context?: CallContext): Promise<void>;
  /**
   * What is at a path of the root file system of a disk that was fetched: the entries of a folder, or a piece of a file.
   * Links are followed within the disk. @throws NotFound nothing is there, or nothing was fetched | Conflict the disk has no file
   *   system that can be read
   */
  readRestoredPath(
    wanted: { id: RestoreId; cloudId: string; disk: VolumeId; path: string; offset: number },
    context?: CallContext,
  ): Promise<RestoredPath>;
  /** What the definition and the rest of the settings were. */
  readBackupSettings(store: BackupStoreAccess, snapshotId: string, context?: CallContext): Promise<BackupSettings>;
  /**
   * Looks for backups in a store, of whatever cloud. Of one that was merged what it is now. One that was not finished, or is from
   * before backups said in their store what they are, is counted only.
   * @param known those that need not be read
   */
  findStoredBackups(
    store: BackupStoreAccess,
    known: readonly BackupId[],
    context?: CallContext,
  ): Promise<{ found: StoredBackup[]; incomplete: number }>;
  listStoreSnapshots(store: BackupStoreAccess, context?: CallContext): Promise<StoreSnapshot[]>;
  /** Removes snapshots and the data that nothing else has. Idempotent. */
  removeStoreSnapshots(store: BackupStoreAccess, ids: readonly string[], context?: CallContext): Promise<void>;
  /**
   * Checks the structure of the store, and that share of its data.
   * @throws BackupUnusable something is missing or damaged
   */
  checkBackupStore(
    store: BackupStoreAccess,
    options: { readPercent: number },
    context?: CallContext,
  ): Promise<{ snapshots: number; sizeBytes: number }>;
}

export type RestoreSwap = {
  id: RestoreId;
  cloudId: string;
  instance: { id: InstanceId; uuid: string };
  /** Each disk of the instance that is replaced, and the fetched one. */
  disks: readonly { id: VolumeId; role: 'root' | 'data'; fetched: VolumeId }[];
};

/** A file has a piece of it as base64; 8 MiB at most. */
export const RestoredPath = Type.Union([
  Type.Object({
    kind: Type.Literal('folder'),
    entries: Type.Array(
      Type.Object({
        name: Type.String(),
        kind: Type.Union([Type.Literal('file'), Type.Literal('folder'), Type.Literal('link'), Type.Literal('other')]),
        sizeBytes: Type.Integer(),
      }),
    ),
  }),
  Type.Object({
    kind: Type.Literal('file'),
    sizeBytes: Type.Integer(),
    content: Type.String({ description: 'base64' }),
    truncated: Type.Boolean({ description: 'there is more of it after that' }),
  }),
]);
export type RestoredPath = Static<typeof RestoredPath>;

/** Of an instance, at the moment of its backup. */
export type BackupSettings = {
  desired: Record<string, unknown>;
  /** The domain as libvirt had it. */
  xml: string;
  /** Contents, base64, by name: the seed, UEFI variables, the TPM. */
  files: Record<string, string>;
  /** Ids of snapshots of its disks are as in the store, which may be their beginnings. Absent in backups of early versions. */
  stored?: Omit<StoredBackup, 'made'> & { made: Omit<FinishedBackup, 'settingsSnapshotId'> };
};
