// The files that an instance starts from: folder, root disk, seed. Makes what is missing and leaves what is there alone;
// two of them at a time, since each waits for a program. Registers how to take back what it makes.
import { rm } from 'node:fs/promises';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { partialPath } from '../../durable-file.ts';
import { exists } from '../../exists.ts';
import type { UndoStack } from '../../undo-stack.ts';
import type { AgentContext } from '../agent-context.ts';
import { takeFetchedDisk } from '../backups/restore-folder.ts';
import { rootBase } from '../disks/root-base.ts';
import { instancesHome } from '../pools/instances-home.ts';
import { diskError, placeOf, requireSpace, smallestSpaceBytes } from '../storage.ts';
import { growDiskFile } from './disk-growth.ts';
import type { InstanceFiles } from './domain-xml.ts';
import {
  claimedOwner,
  createFolder,
  type FolderOwner,
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
    if (owner?.clone !== undefined) return rootBase(storage, desired, await claimClone(context, owner));
    const image = await rootBase(storage, desired, owner);
    if (owner !== undefined) return image;
    const home = await instancesHome(storage, desired.rootDisk.pool);
    await requireSpace({ path: home }, smallestSpaceBytes);
    await hook('folder', desired.id);
    undo.add('folder', () => removeFolder(storage, desired));
    const { id, cloudId, uuid, domainName, rootDisk } = desired;
    await named(context, 'make a folder', () =>
      createFolder(storage, { id, cloudId, uuid, domainName, imageId: rootDisk.imageId }, home),
    );
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

/**
 * Makes the root disk, or grows it when `grows`. One that is gone is not made again: an empty disk in its place would hide
 * the loss, and the storage may only be out of reach.
 * @throws StorageFull | HypervisorRefused a program could not do its work, or the disk is gone and it is to start
 */
export async function prepareDisk(
  context: AgentContext,
  desired: DesiredInstance,
  {
    image,
    hadDisk,
    startsNow,
    grows,
  }: { image: BaseImage | null; hadDisk: boolean; startsNow: boolean; grows: boolean },
  undo: UndoStack,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { rootDisk } = instanceFiles(context.storage, desired.id);
  if (await exists(rootDisk)) {
    if (grows) await named(context, 'grow the disk', () => growDiskFile(context, desired, signal));
    return;
  }
  if (hadDisk && startsNow) throw diskGone(desired, rootDisk);
  if (hadDisk) return;
  await context.hook('root-disk', desired.id);
  undo.add('root disk', () => removeFile(rootDisk));
  const { restored } = desired.rootDisk;
  if (restored !== undefined) {
    await named(context, 'put a restored disk in its place', async () => {
      await takeFetchedDisk(context.storage, restored, rootDisk);
      await growDiskFile(context, desired, signal);
    });
    return;
  }
  const beforeRename = () => context.hook('root-disk-name', desired.id);
  await named(context, 'make the disk', () =>
    makeDisk(rootDisk, image, desired.rootDisk.sizeBytes, { signal, beforeRename }),
  );
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
    detail: `The root disk of ${domainName} is gone: there is no ${path} on the host.`,
    action: 'Bring it back, such as from a backup or by mounting the storage; or delete the instance.',
  });
