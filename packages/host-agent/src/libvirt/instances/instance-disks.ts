// The files that an instance starts from: folder, root disk, seed. Makes what is missing and leaves what is there alone;
// two of them at a time, since each waits for a program. Registers how to take back what it makes.
import { rm } from 'node:fs/promises';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { partialPath } from '../../durable-file.ts';
import { exists } from '../../exists.ts';
import type { UndoStack } from '../../undo-stack.ts';
import type { AgentContext } from '../agent-context.ts';
import { fetchedImage, forgetFetchedDisk, takeFetchedDisk, takeFetchedVariables } from '../backups/restore-folder.ts';
import { rootBase } from '../disks/root-base.ts';
import { requireImage } from '../images/image-store.ts';
import { makeDiskFile } from '../pools/disk-files.ts';
import { instancesHome } from '../pools/instances-home.ts';
import type { NewDisk } from '../pools/pool-driver.ts';
import { requirePool } from '../pools/pools.ts';
import type { RbdPool } from '../pools/rbd-pool.ts';
import { cephMark, cephPoolOf, makeCephRoot, markCephRoot, removeCephRoot } from '../pools/rbd-root-disk.ts';
import { diskError, placeOf, requireSpace, type Storage, smallestSpaceBytes } from '../storage.ts';
import { growDiskFile } from './disk-growth.ts';
import type { InstanceFiles } from './domain-xml.ts';
import {
  claimedOwner,
  createFolder,
  type FolderOwner,
  folderPath,
  instanceFiles,
  removeFolder,
  rewriteOwner,
} from './instance-folder.ts';
import type { Survey } from './instance-survey.ts';
import { type BaseImage, makeDisk } from './root-disk.ts';
import { createSeed } from './seed-image.ts';

/**
 * Makes sure that the folder of an instance is there, and that nobody deletes its image from now on.
 * @returns what the disk rests on; null when it is to be an empty one, or is a copy
 * @throws NotFound the image is not on this host | StorageFull
 */
export function prepareFolder(
  context: AgentContext,
  desired: DesiredInstance,
  { owner }: Survey,
  undo: UndoStack,
): Promise<BaseImage | null> {
  const { storage, hook } = context;
  // Whoever deletes an image takes the same lock, and then finds the folder that rests on it.
  return context.locks.run(desired.rootDisk.imageId ?? desired.rootDisk.id, async () => {
    if (owner?.ceph && owner.ceph.poolId !== desired.rootDisk.pool) throw isInCeph(desired, owner.ceph.poolId);
    if (owner?.clone !== undefined) return rootBase(storage, desired, await claimClone(context, owner));
    const image = await rootBase(storage, desired, owner);
    if (owner !== undefined) return image;
    const home = await instancesHome(storage, desired.rootDisk.pool);
    await requireSpace({ path: home }, smallestSpaceBytes);
    await hook('folder', desired.id);
    undo.add('folder', () => removeFolder(storage, desired));
    const { id, cloudId, uuid, domainName, rootDisk } = desired;
    const ceph = (await cephPoolOf(storage, rootDisk)) && { poolId: rootDisk.pool!, id: rootDisk.id };
    const made = { id, cloudId, uuid, domainName, imageId: rootDisk.imageId, ...(ceph && { ceph }) };
    const own: FolderOwner = rootDisk.clone === 'full' ? { ...made, copied: true } : made;
    await named(context, 'make a folder', () => createFolder(storage, own, home));
    return image;
  });
}

/** What was made from a snapshot becomes an instance. */
async function claimClone({ storage, hook }: AgentContext, owner: FolderOwner): Promise<FolderOwner> {
  const claimed = claimedOwner(owner);
  await hook('claim-clone', owner.id);
  await rewriteOwner(storage, claimed);
  return claimed;
}

type DiskNeeds = { image: BaseImage | null; hadDisk: boolean; startsNow: boolean; grows: boolean };

/**
 * Makes the root disk, or grows it when `grows`. One that is gone is not made again: an empty disk in its place would hide
 * the loss, and the storage may only be out of reach.
 * @throws StorageFull | HypervisorRefused a program could not do its work, or the disk is gone and it is to start
 */
export async function prepareDisk(
  context: AgentContext,
  desired: DesiredInstance,
  needs: DiskNeeds,
  undo: UndoStack,
  signal: AbortSignal | undefined,
): Promise<void> {
  const ceph = await cephPoolOf(context.storage, desired.rootDisk);
  if (ceph !== undefined) return prepareCephDisk(context, desired, ceph, needs, undo, signal);
  const { image, hadDisk, startsNow, grows } = needs;
  const { rootDisk } = instanceFiles(context.storage, desired.id);
  if (await exists(rootDisk)) {
    if (grows) await named(context, 'grow the disk', () => growDiskFile(context, desired, signal));
    return;
  }
  if (hadDisk && startsNow) {
    if (desired.rootDisk.pool) await requirePool(context, desired.rootDisk.pool);
    throw diskGone(desired, `${rootDisk} on the host`);
  }
  if (hadDisk) return;
  await context.hook('root-disk', desired.id);
  undo.add('root disk', () => removeFile(rootDisk));
  const { restored } = desired.rootDisk;
  if (restored !== undefined) {
    await named(context, 'put a restored disk in its place', async () => {
      await takeFetchedVariables(context.storage, restored.id, desired);
      await takeFetchedDisk(context.storage, restored, rootDisk);
      await growDiskFile(context, desired, signal);
    });
    return;
  }
  const beforeRename = () => context.hook('root-disk-name', desired.id);
  await named(context, 'make the disk', async () => {
    const copied = await copiedImage(context.storage, desired);
    const { sizeBytes } = desired.rootDisk;
    if (copied === null) return makeDisk(rootDisk, image, sizeBytes, { signal, beforeRename });
    const disk: NewDisk = {
      format: 'qcow2',
      sizeBytes,
      preallocation: 'off',
      source: { image: copied, clone: 'full' },
    };
    return makeDiskFile(rootDisk, disk, { signal, beforeRename });
  });
}

/** What the disk is to be a copy of; null: it rests on something, or is empty. @throws NotFound */
const copiedImage = async (storage: Storage, desired: DesiredInstance): Promise<BaseImage | null> =>
  desired.rootDisk.clone === 'full' ? requireImage(storage, desired) : null;

/** The same of one in a pool of Ceph, which also has to be there, and libvirt to have its key, when the guest starts. */
async function prepareCephDisk(
  context: AgentContext,
  desired: DesiredInstance,
  pool: RbdPool,
  { image, hadDisk, startsNow, grows }: DiskNeeds,
  undo: UndoStack,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { storage, hook } = context;
  const { id, pool: poolId, sizeBytes } = desired.rootDisk;
  const folder = folderPath(storage, desired.id);
  if (startsNow) await requirePool(context, poolId!);
  const isMade = await exists(cephMark(folder));
  // Of one that somebody has brought from another host of the pool, nothing is known here yet.
  const isNew = hadDisk && !isMade;
  const presentBytes = isNew || (isMade && (startsNow || grows)) ? await pool.sizeOf('', id) : undefined;
  if (startsNow && hadDisk && presentBytes === undefined) throw diskGone(desired, `${pool.imageName(id)} in Ceph`);
  if (isNew && presentBytes !== undefined) await markCephRoot(folder);
  if (isMade || isNew) {
    if (!grows || presentBytes === undefined || presentBytes >= sizeBytes) return;
    await hook('grow-disk', desired.id);
    return named(context, 'grow the disk', () =>
      pool.grow('', { id, format: 'raw', encrypted: false }, sizeBytes, { signal }),
    );
  }
  await hook('root-disk', desired.id);
  undo.add('root disk', () => removeCephRoot(storage, { poolId: poolId!, id }));
  const beforeRename = () => hook('root-disk-name', desired.id);
  await named(context, 'make the disk', async () => {
    const { restored } = desired.rootDisk;
    const isThere = (await pool.sizeOf('', id)) !== undefined;
    const fetched = restored && !isThere ? await fetchedImage(storage, restored) : undefined;
    const content = fetched ?? (await copiedImage(storage, desired)) ?? image;
    await makeCephRoot(context, pool, desired, content, { signal, beforeRename });
    if (restored !== undefined) {
      await takeFetchedVariables(storage, restored.id, desired);
      await forgetFetchedDisk(storage, restored);
    }
  });
  await markCephRoot(folder);
}

/** @throws StorageFull | HypervisorRefused a program could not do its work */
export async function prepareSeed(
  context: AgentContext,
  desired: DesiredInstance,
  undo: UndoStack,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { seed } = instanceFiles(context.storage, desired.id);
  if (await exists(seed)) return;
  await context.hook('seed', desired.id);
  undo.add('seed', () => removeFile(seed));
  const beforeRename = () => context.hook('seed-name', desired.id);
  await named(context, 'make the seed', () => createSeed(seed, desired, { signal, beforeRename }));
}

async function removeFile(path: InstanceFiles[keyof InstanceFiles]): Promise<void> {
  await rm(partialPath(path), { force: true });
  await rm(path, { force: true });
}

/** Runs work on the storage; what goes wrong there becomes an error of the registry. */
async function named({ storage }: AgentContext, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw await diskError(error, placeOf(storage), what);
  }
}

const diskGone = ({ domainName }: DesiredInstance, path: string) =>
  new VirgaError('HypervisorRefused', {
    detail: `The root disk of ${domainName} is gone: there is no ${path}.`,
    action: 'Bring it back, such as from a backup or by mounting the storage; or delete the instance.',
  });

/** As after a lost database was rebuilt without that pool. */
const isInCeph = ({ domainName }: DesiredInstance, poolId: string) =>
  new VirgaError('PoolUnusable', {
    detail: `The root disk of ${domainName} lies in the Ceph pool ${poolId}, which it is not asked for in.`,
    action: 'Look which pools the cloud knows: virga pools list.',
  });
