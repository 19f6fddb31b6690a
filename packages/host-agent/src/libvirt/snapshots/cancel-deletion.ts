// Ends the deletion of a snapshot that goes no further: where nothing of it is done, the snapshot stays; where a disk has forgotten
// it, which the merging follows that writes over what it keeps, it goes. Then what is being merged is left as it is: a disk of
// more files, which the next deletion merges. Does not wait for the guest.
import type { SnapshotToDelete } from '@virga/contract/agent/snapshots';
import type { AgentContext } from '../agent-context.ts';
import { readTree } from '../disks/disk-layers.ts';
import { stopMerge } from '../disks/merge-layers.ts';
import { areInCeph, forgetInCeph } from './ceph-disks.ts';
import { forget, mergedDisk } from './delete-snapshot.ts';
import { findSubject, settleDisks } from './snapshot-domain.ts';
import { cephDisksOf, filesOf, readSnapshot, removeSnapshot } from './snapshot-record.ts';

/** To be called when the call that deletes has ended. */
export function cancelDeletion(context: AgentContext, asked: SnapshotToDelete): Promise<{ kept: boolean }> {
  const { id, cloudId, instance } = asked;
  const { storage, locks, hook } = context;
  return locks.run(`disks ${instance.id}`, async () => {
    const record = await locks.run(instance.id, async () => {
      await settleDisks(context, instance.id, await findSubject(context, asked));
      const found = await readSnapshot(storage, instance.id, id);
      return found?.cloudId === cloudId ? found : undefined;
    });
    if (record === undefined) return { kept: false };
    const files = filesOf(record);
    const ceph = cephDisksOf(record);
    const trees = await Promise.all(files.map(({ firstFile }) => readTree(firstFile)));
    const isWhole = trees.every(({ snapshots }) => id in snapshots) && (await areInCeph(storage, id, ceph));
    if (isWhole) return { kept: true };
    for (const { firstFile } of files) {
      await forget(firstFile, id);
      await stopMerge(context, await mergedDisk(context, instance, firstFile));
    }
    await forgetInCeph(storage, id, ceph);
    await hook('snapshot-end', id);
    await removeSnapshot(storage, instance.id, id);
    return { kept: false };
  });
}
