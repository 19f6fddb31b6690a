// Disks of an instance that lie in Ceph, for backups: Ceph keeps what each had on it at that moment, under the id of the backup, and
// tells what has changed since another. So they are read from there, whatever the guest does meanwhile, and what it keeps outlives
// every crash. Encrypted ones are none of these: what Ceph keeps of them only their key opens.
import { readdir } from 'node:fs/promises';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { BackupId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { forgetMoments } from '../pools/rbd-snapshots.ts';
import { areInCeph, type DiskInCeph, diskInCeph, keepInCeph, rbdPool } from '../snapshots/ceph-disks.ts';
import type { Storage } from '../storage.ts';
import type { BackedUpDisk, DomainDisks } from './backed-up-disks.ts';
import type { KeptDisk, ReadDisk } from './backup-folder.ts';

export type CephDisk = BackedUpDisk & { ceph: DiskInCeph };

export const isInCeph = (disk: BackedUpDisk): disk is CephDisk => disk.ceph !== undefined;

/** Says of each disk in Ceph in which pool. @throws PoolUnusable | HypervisorRefused it is gone */
export async function findInCeph(
  storage: Storage,
  desired: Pick<DesiredInstance, 'id' | 'rootDisk'>,
  { disks, others }: DomainDisks,
): Promise<DomainDisks> {
  const found = disks.map(async (disk) => {
    if (!disk.isPlainRbd) return disk;
    const ceph = await diskInCeph(storage, desired, { id: disk.id, cephTarget: disk.target });
    return ceph === undefined ? disk : { ...disk, ceph, isOpaque: false };
  });
  return { disks: await Promise.all(found), others };
}

/** Of all at once; who calls sees to it that the guest writes to none of several meanwhile. */
export const keepMoments = (storage: Storage, id: BackupId, disks: readonly CephDisk[]): Promise<void> =>
  keepInCeph(
    storage,
    id,
    disks.map(({ ceph }) => ceph),
  );

/** What is read of one. @param since only what has changed since that backup */
export const momentOf = ({ id, role, target, ceph: { poolId } }: CephDisk, since: BackupId | undefined): ReadDisk => ({
  ...{ id, role, target, changes: since !== undefined },
  ceph: { poolId, ...(since !== undefined && { since }) },
});

/** Whether the moment of a backup is there of each. */
export const areKept = (storage: Storage, id: BackupId, disks: readonly KeptDisk[]): Promise<boolean> =>
  areInCeph(
    storage,
    id,
    disks.flatMap((disk) => (disk.ceph === undefined ? [] : { id: disk.id, poolId: disk.ceph.poolId })),
  );

/** Forgets moments of backups of a domain. Idempotent. */
export async function forgetMomentsOf(
  { storage }: AgentContext,
  { disks }: DomainDisks,
  isForgotten: (id: BackupId) => boolean,
): Promise<void> {
  for (const { ceph } of disks.filter(isInCeph)) {
    await forgetMoments(await rbdPool(storage, ceph.poolId), ceph.id, isForgotten);
  }
}

/** Backups that this host still has work with: what was read of them may lie in Ceph alone. */
export const underWay = async ({ backupsPath }: Storage): Promise<ReadonlySet<string>> =>
  new Set(await readdir(backupsPath).catch(() => []));
