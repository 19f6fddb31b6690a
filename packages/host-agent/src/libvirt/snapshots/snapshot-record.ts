// Snapshots of an instance as they lie in its folder: a folder each, with what is known of it and the memory of the guest.
// Which files of a disk it keeps stands with the disk. Owns `snapshots/` of an instance.
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredSnapshot, MachineState, SnapshotConsistency } from '@virga/contract/agent/snapshots';
import { type InstanceId, isId, type PoolId, type SnapshotId, type VolumeId } from '@virga/contract/ids';
import { flushFolder, writeFileDurably } from '../../durable-file.ts';
import { folderPath } from '../instances/instance-folder.ts';
import type { Storage } from '../storage.ts';

export type SnapshotRecord = Pick<DesiredSnapshot, 'id' | 'cloudId' | 'name' | 'keepsake'> & {
  instanceId: InstanceId;
  takenAt: string;
  consistency: SnapshotConsistency;
  memory: boolean;
  /** Of earlier versions undefined: none was kept. */
  machineState?: MachineState[];
  /** The root disk first. */
  disks: KeptDisk[];
};

type Kept = { id: VolumeId; sizeBytes: number; target?: string };
/** Which of its files are kept stands with the disk. */
export type KeptFile = Kept & { firstFile: string; poolId?: undefined };
/** Ceph keeps it, in this pool, under the id of the snapshot. */
export type KeptInCeph = Kept & { poolId: PoolId; firstFile?: undefined };
export type KeptDisk = KeptFile | KeptInCeph;

export const filesOf = ({ disks }: Pick<SnapshotRecord, 'disks'>): KeptFile[] =>
  disks.filter((disk) => disk.firstFile !== undefined);

export const cephDisksOf = ({ disks }: Pick<SnapshotRecord, 'disks'>): KeptInCeph[] =>
  disks.filter((disk) => disk.poolId !== undefined);

const recordMode = 0o644;
const folderMode = 0o711;

const snapshotsPath = (storage: Storage, instanceId: InstanceId): string =>
  join(folderPath(storage, instanceId), 'snapshots');
const snapshotPath = (storage: Storage, instanceId: InstanceId, id: SnapshotId): string =>
  join(snapshotsPath(storage, instanceId), id);
const recordPath = (storage: Storage, instanceId: InstanceId, id: SnapshotId): string =>
  join(snapshotPath(storage, instanceId, id), 'snapshot.json');

/** The memory of the guest, and libvirt's description of the machine that it belongs to. */
export const memoryPath = (storage: Storage, instanceId: InstanceId, id: SnapshotId): string =>
  join(snapshotPath(storage, instanceId, id), 'memory');

/** What the machine keeps beside its disks. */
export const machinePath = (storage: Storage, instanceId: InstanceId, id: SnapshotId): string =>
  join(snapshotPath(storage, instanceId, id), 'machine.json');

export async function readSnapshot(
  storage: Storage,
  instanceId: InstanceId,
  id: SnapshotId,
): Promise<SnapshotRecord | undefined> {
  try {
    return JSON.parse(await readFile(recordPath(storage, instanceId, id), 'utf8')) as SnapshotRecord;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function makeSnapshotFolder(storage: Storage, instanceId: InstanceId, id: SnapshotId): Promise<void> {
  await mkdir(snapshotPath(storage, instanceId, id), { recursive: true, mode: folderMode });
}

/** From now on there is a snapshot. */
export async function writeSnapshot(storage: Storage, record: SnapshotRecord): Promise<void> {
  const { instanceId, id } = record;
  await makeSnapshotFolder(storage, instanceId, id);
  await writeFileDurably(recordPath(storage, instanceId, id), `${JSON.stringify(record)}\n`, recordMode);
  await flushFolder(snapshotPath(storage, instanceId, id));
}

/** Idempotent. The record first: without it there is no snapshot. */
export async function removeSnapshot(storage: Storage, instanceId: InstanceId, id: SnapshotId): Promise<void> {
  await rm(recordPath(storage, instanceId, id), { force: true });
  await rm(snapshotPath(storage, instanceId, id), { recursive: true, force: true });
}

/** Of one instance, the oldest first. */
export async function snapshotsOf(storage: Storage, instanceId: InstanceId): Promise<SnapshotRecord[]> {
  const names = await readdir(snapshotsPath(storage, instanceId)).catch((error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  const records = await Promise.all(
    names.filter((name) => isId('snapshot', name)).map((id) => readSnapshot(storage, instanceId, id as SnapshotId)),
  );
  return records
    .filter((record) => record !== undefined)
    .toSorted((one, other) => (one.takenAt < other.takenAt ? -1 : 1));
}
