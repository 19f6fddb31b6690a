// Disks that were fetched from a store and wait to be taken, and disks that were replaced by such. A folder for each restore, beside
// those of backups. It says whose it is before anything else is in it.
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import type { RestoreId, VolumeId } from '@virga/contract/ids';
import { finishFile, flushFolder, partialPath, readJsonFile, writeFileDurably } from '../../durable-file.ts';
import { exists } from '../../exists.ts';
import { runCommand } from '../../run-command.ts';
import { convertDisk } from '../disks/convert-disk.ts';
import { type Machine, type MachineFiles, variablesIn, writeMachineFiles } from '../instances/machine-files.ts';
import type { BaseImage } from '../instances/root-disk.ts';
import type { CephDisk } from '../pools/rbd-root-disk.ts';
import type { Storage } from '../storage.ts';
import { backupFolder } from './backup-folder.ts';

/** Who looks into disks is nobody, and crosses it. */
const folderMode = 0o711;
const ownerMode = 0o600;
const diskMode = 0o600;
const ownerFile = 'owner.json';
const machineFile = 'machine.json';
const cephFile = 'ceph.json';

export const fetchedDisk = (storage: Storage, id: RestoreId, disk: VolumeId): string =>
  join(backupFolder(storage, id), `${disk}.qcow2`);
/** What was in the place of a disk before. */
export const replacedDisk = (storage: Storage, id: RestoreId, disk: VolumeId): string =>
  join(backupFolder(storage, id), `replaced-${disk}.qcow2`);

/** Disks in Ceph that it replaces: of those there is more there, which goes with the folder. */
export async function openCephNote(storage: Storage, id: RestoreId, disk: CephDisk): Promise<void> {
  const known = await readCephNote(storage, id);
  if (known.some((other) => other.id === disk.id)) return;
  const text = `${JSON.stringify([...known, disk])}\n`;
  await writeFileDurably(join(backupFolder(storage, id), cephFile), text, ownerMode);
}

export const readCephNote = async (storage: Storage, id: RestoreId): Promise<CephDisk[]> =>
  (await readJsonFile<CephDisk[]>(join(backupFolder(storage, id), cephFile))) ?? [];

/** Of a fetched disk; undefined: it is not there. */
export async function virtualSizeOf(path: string): Promise<number | undefined> {
  if (!(await exists(path))) return undefined;
  const args = ['info', '--output=json', '-f', 'qcow2', path];
  const info = JSON.parse(await runCommand('qemu-img', args, { package: 'qemu-utils' })) as { 'virtual-size': number };
  return info['virtual-size'];
}

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

type Fetched = { id: RestoreId; disk: VolumeId };

/**
 * Gives a fetched disk its place, once.
 * @throws NotFound it was not fetched, or has been taken
 */
export async function takeFetchedDisk(storage: Storage, fetched: Fetched, path: string): Promise<void> {
  const { id, disk } = fetched;
  try {
    await rename(fetchedDisk(storage, id, disk), path);
    await flushFolder(join(path, '..'));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw notHere(id, cause);
    if (code !== 'EXDEV') throw cause;
    await convertDisk({ path: fetchedDisk(storage, id, disk), format: 'qcow2' }, partialPath(path), {});
    await finishFile(path, diskMode);
  }
  await forgetFetchedDisk(storage, fetched);
}

/** As who copies it finds it. @throws NotFound */
export async function fetchedImage(storage: Storage, { id, disk }: Fetched): Promise<BaseImage> {
  const path = fetchedDisk(storage, id, disk);
  const virtualSizeBytes = await virtualSizeOf(path);
  if (virtualSizeBytes === undefined) throw notHere(id);
  return { path, format: 'qcow2', virtualSizeBytes };
}

const notHere = (id: RestoreId, cause?: unknown) =>
  new VirgaError('NotFound', {
    detail: `The disk that was restored by ${id} is not on this host.`,
    action: 'Restore the backup again.',
    cause,
  });

/** One that has been taken, or copied. Idempotent. With the last of them the folder goes. */
export async function forgetFetchedDisk(storage: Storage, { id, disk }: Fetched): Promise<void> {
  await rm(fetchedDisk(storage, id, disk), { force: true });
  const left = await readdir(backupFolder(storage, id)).catch(() => []);
  if (left.every((name) => name === ownerFile || name === machineFile))
    await rm(backupFolder(storage, id), { recursive: true, force: true });
}

/** There are secrets in a TPM. */
export const writeMachine = (path: string, files: MachineFiles): Promise<void> =>
  writeFileDurably(path, JSON.stringify(files), 0o600);

/** Gives the one who takes the root disk the UEFI variables that belong to it. To be called before; may be done twice. */
export async function takeFetchedVariables(storage: Storage, id: RestoreId, machine: Machine): Promise<void> {
  const files = await readJsonFile<MachineFiles>(fetchedMachine(storage, id));
  if (files !== undefined) await writeMachineFiles(storage, machine, variablesIn(files));
}
