// Volumes in the storage: a folder each, with its disk and what is known of it. Owns `volumes/`. A folder gets its name once
// all of it is there, so whatever is called `volumes/vol-…` was whole once; what a crash leaves has its cloud in its name.
import { access, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredVolume, ObservedVolume } from '@virga/contract/agent/volumes';
import { isId, type VolumeId } from '@virga/contract/ids';
import { flushFolder, writeFileDurably } from '../../durable-file.ts';
import { activeFile, layeredSource } from '../disks/disk-layers.ts';
import type { DiskSource } from '../disks/disk-source.ts';
import { headerBytes, readQcow2Header } from '../images/qcow2-header.ts';
import type { Storage } from '../storage.ts';

export type VolumeRecord = Omit<DesiredVolume, 'mustExist'>;

const ownerFile = 'owner.json';
const diskFile = 'disk.qcow2';
const folderMode = 0o711;
const ownerMode = 0o644;

/** The file that the disk of a volume was made as. */
export const volumeFile = (storage: Pick<Storage, 'volumesPath'>, id: VolumeId): string =>
  join(storage.volumesPath, id, diskFile);

export const volumeSource = (storage: Storage, id: VolumeId): Promise<DiskSource> =>
  layeredSource(volumeFile(storage, id));

export async function volumeSources(
  storage: Storage,
  volumes: readonly { id: VolumeId }[],
): Promise<ReadonlyMap<VolumeId, DiskSource>> {
  return new Map(await Promise.all(volumes.map(async ({ id }) => [id, await volumeSource(storage, id)] as const)));
}

export const volumeFolder = (storage: Storage, id: VolumeId): string => join(storage.volumesPath, id);
const unfinishedPath = (storage: Storage, id: VolumeId, cloudId: string): string =>
  join(storage.volumesPath, `.${id}.${cloudId}`);

/** What is known of a volume; undefined when there is none, or one that does not say whose it is. */
export async function readVolume(storage: Storage, id: VolumeId): Promise<VolumeRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(volumeFolder(storage, id), ownerFile), 'utf8')) as VolumeRecord;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes the folder of a volume that has none. `makeDisk` makes a file of that name. */
export async function createVolume(
  storage: Storage,
  record: VolumeRecord,
  makeDisk: (path: string) => Promise<void>,
): Promise<void> {
  const unfinished = unfinishedPath(storage, record.id, record.cloudId);
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: folderMode });
  try {
    await writeRecord(unfinished, record);
    await makeDisk(join(unfinished, diskFile));
    await rename(unfinished, volumeFolder(storage, record.id));
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
  await flushFolder(storage.volumesPath);
}

export const updateRecord = (storage: Storage, record: VolumeRecord): Promise<void> =>
  writeRecord(volumeFolder(storage, record.id), record);

const writeRecord = (folder: string, record: VolumeRecord): Promise<void> =>
  writeFileDurably(join(folder, ownerFile), `${JSON.stringify(record)}\n`, ownerMode);

/** Removes the folder of a volume. Idempotent. The owner goes last, as long as there is data of its. */
export async function removeVolume(storage: Storage, id: VolumeId, cloudId: string): Promise<void> {
  await rm(unfinishedPath(storage, id, cloudId), { recursive: true, force: true });
  const folder = volumeFolder(storage, id);
  const names = await readdir(folder).catch((error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  const data = names.filter((name) => name !== ownerFile);
  await Promise.all(data.map((name) => rm(join(folder, name), { recursive: true, force: true })));
  await rm(folder, { recursive: true, force: true });
}

/** What a guest sees of the size; undefined when the disk is missing. */
export async function readDiskSize(storage: Storage, id: VolumeId): Promise<number | undefined> {
  try {
    await using disk = await open(await activeFile(volumeFile(storage, id)), 'r');
    const { buffer, bytesRead } = await disk.read(Buffer.alloc(headerBytes), 0, headerBytes, 0);
    const header = readQcow2Header(buffer.subarray(0, bytesRead));
    return 'refusal' in header ? undefined : Number(header.virtualSizeBytes);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export const hasVolumeDisk = (storage: Storage, id: VolumeId): Promise<boolean> =>
  access(volumeFile(storage, id)).then(
    () => true,
    () => false,
  );

/** Volumes of a cloud, also those of which a crash left only the beginning. */
export async function listVolumes(storage: Storage, cloudId: string): Promise<ObservedVolume[]> {
  const found = new Map<VolumeId, ObservedVolume>();
  for (const name of await readdir(storage.volumesPath)) {
    if (isId('volume', name)) {
      const volume = await observeVolume(storage, name);
      if (volume?.cloudId === cloudId) found.set(name, volume);
      continue;
    }
    const id = name.endsWith(`.${cloudId}`) ? name.slice(1, -cloudId.length - 1) : '';
    if (isId('volume', id) && !found.has(id)) found.set(id, unfinished(id, cloudId));
  }
  return [...found.values()];
}

export async function observeVolume(storage: Storage, id: VolumeId): Promise<ObservedVolume | undefined> {
  const record = await readVolume(storage, id);
  if (record === undefined) return undefined;
  const { cloudId, generation, name, scratch, keepsake } = record;
  const sizeBytes = await readDiskSize(storage, id);
  const intact = sizeBytes !== undefined;
  const seen = { id, cloudId, generation, name, sizeBytes: sizeBytes ?? record.sizeBytes, keepsake, intact };
  return scratch === undefined ? seen : { ...seen, scratch };
}

function unfinished(id: VolumeId, cloudId: string): ObservedVolume {
  return { id, cloudId, generation: 0, name: '', sizeBytes: 0, keepsake: {}, intact: false };
}
