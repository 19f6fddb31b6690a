// The folder that holds images, instances and volumes: its layout, its space, and whether it can do direct I/O. Owns the top-level
// folders. Disks are readable by root and QEMU only; folders may be crossed but not listed by others.
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { CommandFailed } from '../run-command.ts';

export type Storage = {
  path: string;
  imagesPath: string;
  instancesPath: string;
  volumesPath: string;
  templatesPath: string;
  /** What is under way of backups and restores. */
  backupsPath: string;
  poolsPath: string;
};

export type StorageSpace = { totalBytes: number; freeBytes: number };

const folderMode = 0o711;
const directIoProbe = '.direct-io-probe';

/** Makes the folders that are missing. */
export async function openStorage(path: string): Promise<Storage> {
  if (!isAbsolute(path)) {
    throw new VirgaError('InvalidArgument', {
      detail: `The storage path ${path} is not absolute.`,
      action: 'Give a path that begins with a slash.',
    });
  }
  const storage = {
    path,
    imagesPath: join(path, 'images'),
    instancesPath: join(path, 'instances'),
    volumesPath: join(path, 'volumes'),
    templatesPath: join(path, 'templates'),
    backupsPath: join(path, 'backups'),
    poolsPath: join(path, 'pools'),
  };
  try {
    await mkdir(path, { recursive: true, mode: folderMode });
    await mkdir(storage.imagesPath, { recursive: true, mode: folderMode });
    await mkdir(storage.instancesPath, { recursive: true, mode: folderMode });
    await mkdir(storage.volumesPath, { recursive: true, mode: folderMode });
    await mkdir(storage.templatesPath, { recursive: true, mode: folderMode });
    await mkdir(storage.backupsPath, { recursive: true, mode: folderMode });
    await mkdir(storage.poolsPath, { recursive: true, mode: folderMode });
  } catch (error) {
    throw storageError(error, storage, 'make its folders');
  }
  return storage;
}

export async function storageSpace(storage: Pick<Storage, 'path'>): Promise<StorageSpace> {
  const { blocks, bavail, bsize } = await statfs(storage.path);
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
}

/** @throws StorageFull fewer than `neededBytes` are free */
export async function requireSpace(storage: Pick<Storage, 'path'>, neededBytes: number): Promise<void> {
  const { freeBytes } = await storageSpace(storage);
  if (freeBytes < neededBytes) throw storageFull(storage, freeBytes, neededBytes);
}

/**
 * True when files there can be opened past the page cache. Tried out, not looked up: it depends on file system and kernel.
 */
export async function probeDirectIo(storage: Pick<Storage, 'path'>): Promise<boolean> {
  // Several may try at the same time.
  const path = join(storage.path, `${directIoProbe}-${randomBytes(4).toString('hex')}`);
  const { O_RDWR, O_CREAT, O_DIRECT } = constants;
  try {
    const file = await open(path, O_RDWR | O_CREAT | O_DIRECT, 0o600);
    await file.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false;
    throw storageError(error, storage, 'try out direct I/O');
  } finally {
    await rm(path, { force: true });
  }
}

/** What went wrong with a file of the storage, as an error of the registry; others pass through. */
export function storageError(error: unknown, storage: Pick<Storage, 'path'>, what: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return storageFull(storage, 0, undefined, error);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new VirgaError('HostUnavailable', {
        detail: `The host may not ${what} in ${storage.path} (${code}).`,
        action: 'Run the host agent as root, on a storage folder that it may write to.',
        cause: error,
      });
    case 'EIO':
      return new VirgaError('HostUnavailable', {
        detail: `The storage of the host failed to ${what} in ${storage.path} (${code}).`,
        action: 'Look after the disk: see dmesg on the host.',
        cause: error,
      });
    default:
      return error;
  }
}

/** Left free for what else the host does. */
export const reserveBytes = 64 * 1024 * 1024;

/** What has to be there for a new disk, which takes some hundred KiB: a storage with less is full. */
export const smallestSpaceBytes = 16 * 1024 * 1024;

/** Where a disk lies: a pool, or the storage itself. */
type DiskPlace = { home: string; requireSpace(neededBytes: number): Promise<void> };

export const placeOf = (storage: Storage): DiskPlace => ({
  home: storage.path,
  requireSpace: (neededBytes) => requireSpace(storage, neededBytes),
});

/**
 * What went wrong with a disk, as an error of the registry; others pass through. A program says why only in words: when the
 * place is full, that is why.
 * @param what what the host could not do
 */
export async function diskError(
  error: unknown,
  place: DiskPlace,
  what: string,
  action = 'See the log of the host agent.',
): Promise<unknown> {
  if (!(error instanceof CommandFailed)) return storageError(error, { path: place.home }, what);
  try {
    await place.requireSpace(smallestSpaceBytes);
  } catch (isFull) {
    return isFull;
  }
  return new VirgaError('HypervisorRefused', {
    detail: `The host could not ${what}: ${error.message}.`,
    action,
    cause: error,
  });
}

export function storageFull(
  storage: Pick<Storage, 'path'>,
  freeBytes: number,
  neededBytes?: number,
  cause?: unknown,
): VirgaError {
  const needed = neededBytes === undefined ? '' : `, ${mebibytes(neededBytes)} are needed`;
  return new VirgaError('StorageFull', {
    detail: `The storage of the host is full: ${mebibytes(freeBytes)} are free in ${storage.path}${needed}.`,
    action: 'Delete instances or images that are no longer needed, or add storage.',
    cause,
  });
}

const mebibytes = (bytes: number): string => `${Math.floor(bytes / 1024 / 1024)} MiB`;
