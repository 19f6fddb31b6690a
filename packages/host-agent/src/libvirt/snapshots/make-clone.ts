// The root disk of a new instance, from a snapshot of another one: a file that rests on what the snapshot keeps, or a copy; in
// Ceph when that of the snapshot lies there. UEFI
// variables come with it; its TPM is a new one, which libvirt makes.
// Makes the folder with its owner first, so that nobody deletes what it rests on; a folder of a clone that is not yet an
// instance is told of to nobody, and becomes one with the first applyInstance.
import { rm } from 'node:fs/promises';
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredClone } from '@virga/contract/agent/snapshots';
import { finishFile, partialPath } from '../../durable-file.ts';
import { exists } from '../../exists.ts';
import { instanceTaken } from '../../snapshot-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { convertDisk } from '../disks/convert-disk.ts';
import { snapshotBase } from '../disks/root-base.ts';
import { createFolder, type FolderOwner, folderPath, instanceFiles, readOwner } from '../instances/instance-folder.ts';
import { variablesIn, writeMachineFiles } from '../instances/machine-files.ts';
import { makeDisk } from '../instances/root-disk.ts';
import { cephMark } from '../pools/rbd-root-disk.ts';
import { diskError, placeOf, requireSpace, type Storage, smallestSpaceBytes } from '../storage.ts';
import { cloneInCeph } from './clone-in-ceph.ts';
import { keptMachine } from './machine-state.ts';
import { cephDisksOf, type KeptInCeph, readSnapshot } from './snapshot-record.ts';

const diskMode = 0o600;

export function makeClone(context: AgentContext, clone: DesiredClone, call: CallContext): Promise<void> {
  const { storage, locks } = context;
  const { instance } = clone.snapshot;
  return locks.run(clone.id, async () => {
    try {
      const from = { instanceId: instance.id, snapshotId: clone.snapshot.id };
      // Whoever deletes the snapshot takes the same lock, and then finds the folder that rests on it.
      const { base, inCeph } = await locks.run(instance.id, async () => {
        const root = await rootInCeph(storage, clone.cloudId, from);
        const file = root ? undefined : await snapshotBase(storage, clone.cloudId, from);
        await claimFolder(context, clone, from, root && { poolId: root.poolId, id: clone.rootDiskId });
        return { base: file, inCeph: root };
      });
      const { rootDisk } = instanceFiles(storage, clone.id);
      if (await exists(base === undefined ? cephMark(folderPath(storage, clone.id)) : rootDisk)) return;
      const kept = variablesIn(await keptMachine(storage, instance.id, clone.snapshot.id));
      await writeMachineFiles(storage, { ...clone, tpm: false }, kept);
      await context.hook('clone-disk', clone.id);
      if (base === undefined) {
        const onProgress = (percent: number) => call.onProgress?.('copying the disk', percent);
        const beforeRename = () => context.hook('clone-name', clone.id);
        return await cloneInCeph(context, clone, inCeph!, { signal: call.signal, onProgress, beforeRename });
      }
      if (clone.kind === 'linked') {
        const beforeRename = () => context.hook('clone-name', clone.id);
        await makeDisk(rootDisk, base, base.virtualSizeBytes, { signal: call.signal, beforeRename });
        return;
      }
      await rm(partialPath(rootDisk), { force: true });
      await convertDisk(base, partialPath(rootDisk), call);
      await context.hook('clone-name', clone.id);
      await finishFile(rootDisk, diskMode);
    } catch (error) {
      throw await diskError(error, placeOf(context.storage), 'clone a disk');
    }
  });
}

/** What Ceph keeps of the root disk; undefined: it is a file. */
async function rootInCeph(
  storage: Storage,
  cloudId: string,
  { instanceId, snapshotId }: NonNullable<FolderOwner['clonedFrom']>,
): Promise<KeptInCeph | undefined> {
  const record = await readSnapshot(storage, instanceId, snapshotId);
  const root = record?.cloudId === cloudId ? record.disks[0] : undefined;
  return root && cephDisksOf({ disks: [root] })[0];
}

async function claimFolder(
  { storage, hook }: AgentContext,
  { id, cloudId, uuid, domainName, kind }: DesiredClone,
  clonedFrom: NonNullable<FolderOwner['clonedFrom']>,
  ceph: FolderOwner['ceph'],
): Promise<void> {
  const present = await readOwner(storage, id);
  if (present !== undefined) {
    if (present.cloudId === cloudId && present.clone) return;
    throw instanceTaken(id);
  }
  await requireSpace(storage, smallestSpaceBytes);
  await hook('clone-folder', id);
  // A copy rests on nothing once it is there; until then its source must stay too.
  const imageId = kind === 'linked' ? ((await readOwner(storage, clonedFrom.instanceId))?.imageId ?? null) : null;
  await createFolder(storage, {
    id,
    cloudId,
    uuid,
    domainName,
    imageId,
    clone: kind,
    clonedFrom,
    ...(ceph && { ceph }),
  });
}
