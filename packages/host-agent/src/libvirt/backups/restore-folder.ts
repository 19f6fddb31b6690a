// Disks that were fetched from a store and wait to be taken, and disks that were replaced by such. A folder for each restore, beside
// those of backups. It says whose it is before anything else is in it.
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import type { RestoreId, VolumeId } from '@virga/contract/ids';
import { flushFolder, readJsonFile, writeFileDurably } from '../../durable-file.ts';
import { type Machine, type MachineFiles, variablesIn, writeMachineFiles } from '../instances/machine-files.ts';
import type { Storage } from '../storage.ts';
import { backupFolder } from './backup-folder.ts';

/** Who looks into disks is nobody, and crosses it. */
const folderMode = 0o711;
const ownerMode = 0o600;
const ownerFile = 'owner.json';
const machineFile = 'machine.json';

export const fetchedDisk = (storage: Storage, id: RestoreId, disk: VolumeId): string =>
  join(backupFolder(storage, id), `${disk}.qcow2`);
/** What was in the place of a disk before. */
export const replacedDisk = (storage: Storage, id: RestoreId, disk: VolumeId): string =>
  join(backupFolder(storage, id), `replaced-${disk}.qcow2`);

/** What was fetched of what the machine keeps beside its disks. */
export const fetchedMachine = (storage: Storage, id: RestoreId): string => join(backupFolder(storage, id), machineFile);
export const replacedMachine = (storage: Storage, id: RestoreId): string =>
  join(backupFolder(storage, id), `replaced-${machineFile}`);

export async function openRestoreFolder(storage: Storage, id: RestoreId, cloudId: string): Promise<void> {
  const folder = backupFolder(storage, id);
  await mkdir(folder, { recursive: true, mode: folderMode });
  await writeFileDurably(join(folder, ownerFile), `${JSON.stringify({ cloudId })}\n`, ownerMode);
}

/** Idempotent. Another cloud's stays. */
export async function removeRestoreFolder(storage: Storage, id: RestoreId, cloudId: string): Promise<void> {
  const folder = backupFolder(storage, id);
  try {
    const owner = JSON.parse(await readFile(join(folder, ownerFile), 'utf8')) as { cloudId: string };
    if (owner.cloudId !== cloudId) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await rm(folder, { recursive: true, force: true });
}

/**
 * Gives a fetched disk its place, once.
 * @throws NotFound it was not fetched, or has been taken
 */
export async function takeFetchedDisk(
  storage: Storage,
  { id, disk }: { id: RestoreId; disk: VolumeId },
  path: string,
): Promise<void> {
  try {
    await rename(fetchedDisk(storage, id, disk), path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new VirgaError('NotFound', {
      detail: `The disk that was restored by ${id} is not on this host.`,
      action: 'Restore the backup again.',
      cause,
    });
  }
  await flushFolder(join(path, '..'));
  const left = await readdir(backupFolder(storage, id));
  if (left.every((name) => name === ownerFile || name === machineFile))
    await rm(backupFolder(storage, id), { recursive: true });
}

/** There are secrets in a TPM. */
export const writeMachine = (path: string, files: MachineFiles): Promise<void> =>
  writeFileDurably(path, JSON.stringify(files), 0o600);

/** Gives the one who takes the root disk the UEFI variables that belong to it. To be called before; may be done twice. */
export async function takeFetchedVariables(storage: Storage, id: RestoreId, machine: Machine): Promise<void> {
  const files = await readJsonFile<MachineFiles>(fetchedMachine(storage, id));
  if (files !== undefined) await writeMachineFiles(storage, machine, variablesIn(files));
}
