// Forgets a snapshot: first with its disks, so that nothing keeps their files for it any more, then merges what only it needed,
// and last what is known of it. Of a disk in Ceph there is nothing to merge. A call that is cut short is gone on with by the next, which still knows of it.
import { basename, dirname } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type { SnapshotToDelete } from '@virga/contract/agent/snapshots';
import { type InstanceId, isId, type SnapshotId } from '@virga/contract/ids';
import { hasClones, isBeingCopied } from '../../snapshot-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { dropCheckpoints } from '../backups/checkpoints.ts';
import { readTree, writeTree } from '../disks/disk-layers.ts';
import { compactDisk, type MergedDisk } from '../disks/merge-layers.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { readRecord } from '../instances/domain-lookup.ts';
import { diskError, placeOf, type Storage } from '../storage.ts';
import { forgetInCeph } from './ceph-disks.ts';
import { allClones, allCopies } from './observed-snapshot.ts';
import { findSubject, settleDisks } from './snapshot-domain.ts';
import {
  cephDisksOf,
  filesOf,
  readSnapshot,
  removeSnapshot,
  type SnapshotRecord,
  snapshotsOf,
} from './snapshot-record.ts';

export function deleteSnapshot(context: AgentContext, asked: SnapshotToDelete, call: CallContext): Promise<void> {
  const { id, cloudId, instance } = asked;
  const { storage, locks, hook } = context;
  return locks.run(`disks ${instance.id}`, async () => {
    try {
      const snapshot = await locks.run(instance.id, async () => {
        const domain = await findSubject(context, asked);
        await settleDisks(context, instance.id, domain);
        const record = await readSnapshot(storage, instance.id, id);
        if (record === undefined || record.cloudId !== cloudId) return undefined;
        await refuseInUse(storage, [record]);
        // What a backup has recorded is in the files that are merged.
        if (domain !== undefined) await dropCheckpoints(context, domain.ref);
        await hook('snapshot-forget', id);
        for (const { firstFile } of filesOf(record)) await forget(firstFile, id);
        await forgetInCeph(storage, id, cephDisksOf(record));
        return record;
      });
      if (snapshot === undefined) return;
      for (const { firstFile } of filesOf(snapshot)) {
        await compactDisk(context, await mergedDisk(context, instance, firstFile), call);
      }
      await hook('snapshot-end', id);
      await removeSnapshot(storage, instance.id, id);
    } catch (error) {
      throw await deleteError(error, context);
    }
  });
}

/** @throws InUse the disks of other instances rest on snapshots of this one, or volumes are being made of these */
export async function refuseClones(
  { storage }: AgentContext,
  { id, cloudId }: { id: InstanceId; cloudId: string },
): Promise<void> {
  const snapshots = (await snapshotsOf(storage, id)).filter((snapshot) => snapshot.cloudId === cloudId);
  if (snapshots.length > 0) await refuseInUse(storage, snapshots);
}

/** Before an instance goes with its files: its volumes, which stay, keep nothing for its snapshots, and Ceph keeps none. */
export async function forgetSnapshots(
  context: AgentContext,
  instance: { id: InstanceId; cloudId: string; uuid: string },
): Promise<void> {
  const { storage } = context;
  for (const snapshot of await snapshotsOf(storage, instance.id)) {
    if (snapshot.cloudId !== instance.cloudId) continue;
    await forgetInCeph(storage, snapshot.id, cephDisksOf(snapshot));
    for (const { firstFile } of filesOf(snapshot)) {
      if (!isId('volume', basename(dirname(firstFile)))) continue;
      await forget(firstFile, snapshot.id);
      await compactDisk(context, await mergedDisk(context, instance, firstFile), {});
    }
  }
}

/** The disk no longer keeps anything for a snapshot. Of one that is gone there is nothing to forget. */
export async function forget(firstFile: string, id: SnapshotId): Promise<void> {
  const { current, snapshots } = await readTree(firstFile);
  if (!(id in snapshots)) return;
  const { [id]: _, ...others } = snapshots;
  await writeTree(firstFile, { current, snapshots: others });
}

export async function mergedDisk(
  context: AgentContext,
  instance: { id: InstanceId; uuid: string },
  firstFile: string,
): Promise<MergedDisk> {
  const tree = await readTree(firstFile);
  const [clones, copies] = await Promise.all([allClones(context.storage), allCopies(context.storage)]);
  const isNeeded = (id: SnapshotId) => clones.has(id) || copies.has(id);
  const pinned = Object.entries(tree.snapshots).flatMap(([id, layers]) => (isNeeded(id as SnapshotId) ? layers : []));
  const folder = dirname(firstFile);
  const holder = isId('volume', basename(folder)) ? await holderOf(context, folder) : instance;
  return { firstFile, holder, pinned: new Set(pinned) };
}

/** The instance that has a volume, which may be another one than when the snapshot was taken. */
function holderOf({ hypervisor }: AgentContext, folder: string): Promise<{ id: InstanceId; uuid: string } | undefined> {
  return hypervisor.ask(`look for who has ${folder}`, async (connection) => {
    for (const ref of await connection.domains.list()) {
      try {
        const record = await readRecord(connection, ref);
        if (record === undefined || !(await connection.domains.xml(ref)).includes(`'${folder}/`)) continue;
        return { id: record.instanceId, uuid: ref.uuid };
      } catch (error) {
        // It has gone since it was listed.
        if (!isLibvirtError(error, 'NO_DOMAIN')) throw error;
      }
    }
    return undefined;
  });
}

async function refuseInUse(storage: Storage, snapshots: readonly SnapshotRecord[]): Promise<void> {
  const [clones, copies] = await Promise.all([allClones(storage), allCopies(storage)]);
  for (const { id, name } of snapshots) {
    if (clones.has(id)) throw hasClones(name, clones.get(id)!);
    if (copies.has(id)) throw isBeingCopied(name, copies.get(id)!);
  }
}

const deleteError = (error: unknown, { storage }: AgentContext): Promise<unknown> =>
  diskError(
    error,
    placeOf(storage),
    'merge the files of a disk',
    'Nothing is lost: mend what it says, and delete the snapshot again.',
  );
