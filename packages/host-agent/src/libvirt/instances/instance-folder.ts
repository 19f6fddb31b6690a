// The folder of one instance: who owns it, what lies in it, and what a crash may have left of it. Owns `instances/`.
// A folder gets its name only once its owner is written in it, so every `instances/i-…` can be told whose it is.
import { type Dirent, readlinkSync } from 'node:fs';
import { access, mkdir, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DesiredInstance, InstanceIdentity } from '@virga/contract/agent/desired';
import { type ImageId, isId, type PoolId, type SnapshotId, type TemplateId } from '@virga/contract/ids';
import { flushFolder, writeFileDurably } from '../../durable-file.ts';
import type { CephDisk } from '../pools/rbd-root-disk.ts';
import type { Storage } from '../storage.ts';
import type { InstanceFiles } from './domain-xml.ts';

export type FolderOwner = Pick<DesiredInstance, 'id' | 'cloudId' | 'uuid' | 'domainName'> & {
  /** Null: nothing in it rests on an image. */
  imageId: ImageId | null;
  /** Its root disk does not lie in it, but in this pool of Ceph, under this name. */
  ceph?: CephDisk;
  /** Its root disk was moved to this pool, or to the host's own storage, whatever is asked for; {@link rootFolder} says where. */
  moved?: { poolId?: PoolId; generation: number };
  /** Nothing of the domain lies in it. */
  adopted?: true;
  /** Its root disk rests on the disk of this template, which rests on the image. */
  templateId?: TemplateId;
  /** Its root disk rests on what this snapshot keeps, which rests on the image. */
  clonedFrom?: { instanceId: InstanceIdentity['id']; snapshotId: SnapshotId };
  /** Its root disk is a copy, which rests on nothing, whatever image it once came from. */
  copied?: true;
  /** Its root disk is being made from a snapshot, and it is no instance yet. */
  clone?: 'linked' | 'full';
  /** It waits to become an instance, and is none yet. */
  shell?: true;
  /** The instance was given back: the files are not ours to remove, but still rest on the image. */
  released?: true;
};

/** The root disk that is asked for, where it lies since it was moved: the host knows that before who asks does. */
export function placedRoot(
  rootDisk: DesiredInstance['rootDisk'],
  owner: Pick<FolderOwner, 'moved'> | undefined,
): DesiredInstance['rootDisk'] {
  if (owner?.moved === undefined) return rootDisk;
  const { pool: _, ...rest } = rootDisk;
  return { ...rest, clone: 'full', ...(owner.moved.poolId && { pool: owner.moved.poolId }) };
}

/** Whose the folder is of what was made from a snapshot, once that is an instance. A copy rests on it no longer. */
export function claimedOwner({ clone, clonedFrom, ...own }: FolderOwner): FolderOwner {
  return { ...own, ...(clone === 'full' ? { copied: true } : clonedFrom && { clonedFrom }) };
}

const ownerFile = 'owner.json';
const rootLink = 'root-disk';
const folderMode = 0o711;
const ownerMode = 0o644;

export function instanceFiles(storage: Storage, id: InstanceIdentity['id']): InstanceFiles {
  const folder = folderPath(storage, id);
  return {
    rootDisk: join(rootFolder(storage, id), 'root.qcow2'),
    seed: join(folder, 'seed.iso'),
    consoleLog: join(folder, 'console.log'),
    nvram: join(folder, 'nvram'),
  };
}

/** Where the files of its root disk lie: with all else of it, unless that was moved. */
function rootFolder(storage: Storage, id: InstanceIdentity['id']): string {
  const folder = folderPath(storage, id);
  try {
    return readlinkSync(join(folder, rootLink));
  } catch {
    // It was not, or it is not there.
    return folder;
  }
}

/** Says that the root disk lies in that folder; undefined: in the instance's own, or in none. */
export async function pointRoot(
  storage: Storage,
  id: InstanceIdentity['id'],
  target: string | undefined,
): Promise<void> {
  const folder = folderPath(storage, id);
  const link = join(folder, rootLink);
  if (target === undefined) await rm(link, { force: true });
  else {
    const fresh = `${link}.fresh`;
    await rm(fresh, { force: true });
    await symlink(target, fresh);
    await rename(fresh, link);
  }
  await flushFolder(folder);
}

export const folderPath = (storage: Storage, id: InstanceIdentity['id']): string => join(storage.instancesPath, id);

/** The folder until its owner is written; the cloud is in its name, so that what a crash leaves has an owner too. */
const unfinishedPath = (home: string, id: InstanceIdentity['id'], cloudId: string): string =>
  join(home, `.${id}.${cloudId}`);

/** Where the folder of an instance lies: in the storage, or in a pool that its name there is a link to. */
async function homeOf(storage: Storage, id: InstanceIdentity['id']): Promise<string> {
  const target = await readlink(folderPath(storage, id)).catch(() => undefined);
  return target === undefined ? storage.instancesPath : dirname(target);
}

/** Who owns the folder of an instance; undefined when there is none, or one that does not say so. */
export async function readOwner(storage: Storage, id: InstanceIdentity['id']): Promise<FolderOwner | undefined> {
  try {
    return JSON.parse(await readFile(join(folderPath(storage, id), ownerFile), 'utf8')) as FolderOwner;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Makes the folder of an instance. There must be none.
 * @param home in a pool; default the storage
 */
export async function createFolder(storage: Storage, owner: FolderOwner, home = storage.instancesPath): Promise<void> {
  const unfinished = unfinishedPath(home, owner.id, owner.cloudId);
  const link = folderPath(storage, owner.id);
  // Before the folder has its name, so that what a crash leaves in the pool is found.
  if (home !== storage.instancesPath) {
    if ((await readlink(link).catch(() => undefined)) !== undefined) await rm(link);
    await symlink(join(home, owner.id), link);
    await flushFolder(storage.instancesPath);
  }
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: folderMode });
  await writeFileDurably(join(unfinished, ownerFile), `${JSON.stringify(owner)}\n`, ownerMode);
  await rename(unfinished, join(home, owner.id));
  await flushFolder(home);
}

/** Says anew whose a folder is. */
export async function rewriteOwner(storage: Storage, owner: FolderOwner): Promise<void> {
  await writeFileDurably(join(folderPath(storage, owner.id), ownerFile), `${JSON.stringify(owner)}\n`, ownerMode);
  await flushFolder(folderPath(storage, owner.id));
}

/** The files stay, and are nobody's from now on. */
export async function disownFolder(storage: Storage, owner: FolderOwner): Promise<void> {
  const text = `${JSON.stringify({ ...owner, released: true } satisfies FolderOwner)}\n`;
  await writeFileDurably(join(folderPath(storage, owner.id), ownerFile), text, ownerMode);
  await flushFolder(folderPath(storage, owner.id));
}

/** Removes the folder of an instance and everything in it. Idempotent. The owner goes last, as it came first. */
export async function removeFolder(
  storage: Storage,
  { id, cloudId }: Pick<FolderOwner, 'id' | 'cloudId'>,
): Promise<void> {
  const home = await homeOf(storage, id);
  await rm(unfinishedPath(home, id, cloudId), { recursive: true, force: true });
  const folder = join(home, id);
  const disk = rootFolder(storage, id);
  if (disk !== folderPath(storage, id)) await rm(disk, { recursive: true, force: true });
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const contents = entries.filter((entry) => entry !== ownerFile);
  await Promise.all(contents.map((entry) => rm(join(folder, entry), { recursive: true, force: true })));
  await rm(folder, { recursive: true, force: true });
  if (home !== storage.instancesPath) await rm(folderPath(storage, id), { force: true });
}

/** True when there are files of an instance, even half made ones. */
export async function hasLeftovers(
  storage: Storage,
  { id, cloudId }: Pick<FolderOwner, 'id' | 'cloudId'>,
): Promise<boolean> {
  const owner = await readOwner(storage, id);
  if (owner?.cloudId === cloudId && !owner.released && !owner.shell && !owner.clone) return true;
  return access(unfinishedPath(await homeOf(storage, id), id, cloudId)).then(
    () => true,
    () => false,
  );
}

/** Ids of all instances of a cloud of which there are files. */
export async function listFolders(
  storage: Storage,
  cloudId: string,
): Promise<Map<FolderOwner['id'], FolderOwner | undefined>> {
  const found = new Map<FolderOwner['id'], FolderOwner | undefined>();
  const entries: Dirent[] = await readdir(storage.instancesPath, { withFileTypes: true });
  for (const { name } of entries.filter((entry) => entry.isDirectory() || entry.isSymbolicLink())) {
    if (isId('instance', name)) {
      const owner = await readOwner(storage, name);
      if (owner?.cloudId === cloudId && !owner.released && !owner.shell && !owner.clone) found.set(name, owner);
      continue;
    }
    const id = name.endsWith(`.${cloudId}`) ? name.slice(1, -cloudId.length - 1) : '';
    if (isId('instance', id) && !found.has(id)) found.set(id, undefined);
  }
  return found;
}

/** Ids of the instances of any cloud whose root disk rests on an image. */
export async function findClonesOf(storage: Storage, imageId: ImageId): Promise<FolderOwner['id'][]> {
  const clones: FolderOwner['id'][] = [];
  for (const name of await readdir(storage.instancesPath)) {
    if (isId('instance', name) && (await readOwner(storage, name))?.imageId === imageId) clones.push(name);
  }
  return clones;
}

/** Whether the root disk of an instance of any cloud lies in this pool, without its folder. */
export async function hasDiskIn(storage: Storage, poolId: PoolId): Promise<boolean> {
  for (const name of await readdir(storage.instancesPath)) {
    const owner = isId('instance', name) ? await readOwner(storage, name) : undefined;
    if (owner?.ceph?.poolId === poolId || owner?.moved?.poolId === poolId) return true;
  }
  return false;
}
