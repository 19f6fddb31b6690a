// What a host keeps of a backup that is under way: a folder with what has been read of the disks, and how far it is. Owns
// `backups/`. The folder says whose it is before anything else is in it, so what a crash leaves can be told and removed.
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FinishedBackup, FullReason, StoredDisk } from '@virga/contract/agent/backups';
import type { BackupId, InstanceId, PoolId, RestoreId, VolumeId } from '@virga/contract/ids';
import { readJsonFile, writeFileDurably } from '../../durable-file.ts';
import type { Storage } from '../storage.ts';
import type { DiskFile } from './open-disk.ts';

/** A disk as it was read: a copy that is ours; of an instance that is off, the disk itself; or what Ceph keeps of it. */
export type ReadDisk = KeptDisk & {
  role: StoredDisk['role'];
  /** Its place in the guest. */
  target: string;
  /** Only what has changed is in it. */
  changes: boolean;
};

export type KeptDisk = { id: VolumeId } & (
  | { file: DiskFile; ceph?: undefined }
  /** Since the moment of that backup. */
  | { ceph: { poolId: PoolId; since?: BackupId }; file?: undefined }
);

export type TakenBackup = {
  takenAt: string;
  frozen: boolean;
  fullReason: FullReason | null;
  disks: ReadDisk[];
  settings: string;
};

export type BackupState = {
  cloudId: string;
  instanceId: InstanceId;
  /** `reading`: the domain may have a job that reads its disks. */
  phase: 'reading' | 'read' | 'stored';
  taken?: TakenBackup;
  stored: StoredDisk[];
  addedBytes: number;
  result?: FinishedBackup;
};

/** QEMU writes what it reads of the disks there. */
const folderMode = 0o711;
const stateMode = 0o600;
const stateFile = 'state.json';

export const backupFolder = ({ backupsPath }: Storage, id: BackupId | RestoreId): string => join(backupsPath, id);

export const readState = (storage: Storage, id: BackupId): Promise<BackupState | undefined> =>
  readJsonFile(join(backupFolder(storage, id), stateFile));

export async function writeState(storage: Storage, id: BackupId, state: BackupState): Promise<void> {
  const folder = backupFolder(storage, id);
  await mkdir(folder, { recursive: true, mode: folderMode });
  await writeFileDurably(join(folder, stateFile), `${JSON.stringify(state)}\n`, stateMode);
}

/** What was read of the disks goes; how far it is stays. */
export async function removeReadDisks(storage: Storage, id: BackupId): Promise<void> {
  const folder = backupFolder(storage, id);
  const names = await readdir(folder).catch(() => []);
  await Promise.all(names.filter((name) => name !== stateFile).map((name) => rm(join(folder, name), { force: true })));
}

/** Idempotent. The state goes last. */
export async function removeBackupFolder(storage: Storage, id: BackupId): Promise<void> {
  await removeReadDisks(storage, id);
  await rm(backupFolder(storage, id), { recursive: true, force: true });
}
