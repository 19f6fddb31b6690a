// Volumes on the host: a folder each, with what is known of the volume and, unless its pool is elsewhere, its disk. Owns
// `volumes/` of the storage and of every pool that is a folder; what lies in such a pool has a link in the storage. A folder
// gets its name once all of it is there, so whatever is called `volumes/vol-…` was whole once; what a crash leaves has its
// cloud in its name.
import { existsSync, readlinkSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ObservedVolume } from '@virga/contract/agent/volumes';
import { isId, type PoolId, type VolumeId } from '@virga/contract/ids';
import { flushFolder, writeFileDurably } from '../../durable-file.ts';
import { type DiskSource, sharedSource } from '../disks/disk-source.ts';
import { findImage } from '../images/image-store.ts';
import { diskFileOf } from '../pools/directory-pool.ts';
import { driverOf } from '../pools/drivers.ts';
import type { Measure, PoolDriver } from '../pools/pool-driver.ts';
import { knownPools } from '../pools/pool-record.ts';
import { contentBytes } from '../pools/rbd-luks.ts';
import type { Storage } from '../storage.ts';
import type { VolumeRecord } from './volume-record.ts';

export type { VolumeRecord } from './volume-record.ts';

const ownerFile = 'owner.json';
const folderMode = 0o711;
const ownerMode = 0o644;

/** The file that the disk of a volume was made as. A volume of Ceph has none. */
export function volumeFile(storage: Pick<Storage, 'volumesPath'>, id: VolumeId): string {
  const folder = volumeFolder(storage, id);
  const raw = join(folder, diskFileOf('raw'));
  return existsSync(raw) ? raw : join(folder, diskFileOf('qcow2'));
}

/** Where all volumes of the host are found, each as a folder or a link to one. */
export const volumeName = (storage: Pick<Storage, 'volumesPath'>, id: VolumeId): string =>
  join(storage.volumesPath, id);

/** Where one really lies, which is what domains are told: a link may be another one while they run. */
export function volumeFolder(storage: Pick<Storage, 'volumesPath'>, id: VolumeId): string {
  const named = volumeName(storage, id);
  try {
    return readlinkSync(named);
  } catch {
    // It is a folder itself, or not there.
    return named;
  }
}

/**
 * Where the folder of one lies that is moved within the host's own storage, or into it: its name is a link then, which only a
 * link replaces at once. @param taken where the other place of it is
 */
export function movedInFolder(storage: Pick<Storage, 'volumesPath'>, id: VolumeId, taken?: string): string {
  const [first, second] = movedInFolders(storage, id);
  return taken === first ? second : first;
}

const movedInFolders = ({ volumesPath }: Pick<Storage, 'volumesPath'>, id: VolumeId): [string, string] => [
  join(volumesPath, '.moved-in', id),
  join(volumesPath, '.moved-on', id),
];

const unfinishedPath = (home: string, id: VolumeId, cloudId: string): string => join(home, `.${id}.${cloudId}`);

/** @throws PoolUnusable its pool cannot be reached */
export async function volumeSource(storage: Storage, id: VolumeId): Promise<DiskSource> {
  const record = await readVolume(storage, id);
  const driver = await driverOf(storage, record?.poolId);
  const image = record?.source?.clone === 'linked' ? await findImage(storage, record.source.imageId) : undefined;
  const disk = { id, format: record?.format ?? 'qcow2', encrypted: record?.encrypted === true } as const;
  return driver.source(volumeFolder(storage, id), disk, image && sharedSource(image));
}

export async function volumeSources(
  storage: Storage,
  volumes: readonly { id: VolumeId }[],
): Promise<ReadonlyMap<VolumeId, DiskSource>> {
  return new Map(await Promise.all(volumes.map(async ({ id }) => [id, await volumeSource(storage, id)] as const)));
}

/** What is known of a volume; undefined when there is none, or one that does not say whose it is. */
export const readVolume = (storage: Storage, id: VolumeId): Promise<VolumeRecord | undefined> =>
  readRecord(volumeFolder(storage, id));

async function readRecord(folder: string): Promise<VolumeRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, ownerFile), 'utf8')) as VolumeRecord;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes the folder of a volume that has none. `makeDisk` makes the disk, in the folder that it is given or elsewhere. */
export async function createVolume(
  storage: Storage,
  { home }: PoolDriver,
  record: VolumeRecord,
  makeDisk: (folder: string) => Promise<void>,
): Promise<void> {
  const unfinished = unfinishedPath(home, record.id, record.cloudId);
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: folderMode });
  try {
    await writeRecord(unfinished, record);
    await makeDisk(unfinished);
    await rename(unfinished, join(home, record.id));
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
  await flushFolder(home);
  await linkVolume(storage, home, record.id);
}

/** A volume of a pool that is a folder is found in the storage too. Idempotent. */
async function linkVolume(storage: Storage, home: string, id: VolumeId): Promise<void> {
  if (home !== storage.volumesPath) await pointTo(storage, id, join(home, id));
}

/** Makes the name of a volume a link to that folder; one that is another link changes at once. */
export async function pointTo(storage: Storage, id: VolumeId, folder: string): Promise<void> {
  const link = volumeName(storage, id);
  if ((await readlink(link).catch(() => undefined)) === folder) return;
  const fresh = join(storage.volumesPath, `.link.${id}`);
  await rm(fresh, { force: true });
  await symlink(folder, fresh);
  await rename(fresh, link);
  await flushFolder(storage.volumesPath);
}

/** Finds a volume of this pool that another host has made, or whose link a crash has prevented. */
export async function findInPool(
  storage: Storage,
  { home }: PoolDriver,
  id: VolumeId,
): Promise<VolumeRecord | undefined> {
  if (home === storage.volumesPath) return undefined;
  const record = await readRecord(join(home, id));
  if (record !== undefined) await linkVolume(storage, home, id);
  return record;
}

/** The same in any pool that the host knows. */
export async function findAnywhere(storage: Storage, id: VolumeId): Promise<VolumeRecord | undefined> {
  const present = await readVolume(storage, id);
  if (present !== undefined) return present;
  for (const { id: poolId } of await knownPools(storage)) {
    const found = await findInPool(storage, await driverOf(storage, poolId), id);
    if (found !== undefined) return found;
  }
  return undefined;
}

export const updateRecord = (storage: Storage, record: VolumeRecord): Promise<void> =>
  writeRecord(volumeFolder(storage, record.id), record);

/** A folder without it is no volume. */
export const forgetOwner = (folder: string): Promise<void> => rm(join(folder, ownerFile), { force: true });

export const writeRecord = (folder: string, record: VolumeRecord): Promise<void> =>
  writeFileDurably(join(folder, ownerFile), `${JSON.stringify(record)}\n`, ownerMode);

/**
 * Removes the folder of a volume. Idempotent. The owner goes last, as long as there is data of its; the link before it, so
 * that a volume which is half gone is found in its pool.
 */
export async function removeVolume(
  storage: Storage,
  { home }: PoolDriver,
  id: VolumeId,
  cloudId: string,
): Promise<void> {
  await rm(unfinishedPath(home, id, cloudId), { recursive: true, force: true });
  const isOwn = home === storage.volumesPath;
  const folder = isOwn ? volumeFolder(storage, id) : join(home, id);
  const names = await readdir(folder).catch((error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  const data = names.filter((name) => name !== ownerFile);
  await Promise.all(data.map((name) => rm(join(folder, name), { recursive: true, force: true })));
  if (folder !== volumeName(storage, id)) {
    await rm(volumeName(storage, id), { force: true });
    await flushFolder(storage.volumesPath);
  }
  await rm(folder, { recursive: true, force: true });
  // What a crash has left of one whose link went first.
  if (isOwn) for (const left of movedInFolders(storage, id)) await rm(left, { recursive: true, force: true });
}

/** What a crash has left of a volume that never came to be, wherever it was to lie. */
export async function removeUnfinished(storage: Storage, id: VolumeId, cloudId: string): Promise<void> {
  for (const home of await allHomes(storage)) {
    await rm(unfinishedPath(home, id, cloudId), { recursive: true, force: true });
  }
}

/** What is known of volumes of any cloud that are being made, or were when a crash came. */
export async function unfinishedVolumes(storage: Storage): Promise<VolumeRecord[]> {
  const found: (VolumeRecord | undefined)[] = [];
  for (const home of await allHomes(storage)) {
    const names = await readdir(home).catch(() => []);
    const unfinished = names.filter((name) => isId('volume', name.slice(1).split('.')[0]!));
    found.push(...(await Promise.all(unfinished.map((name) => readRecord(join(home, name))))));
  }
  return found.filter((record) => record !== undefined);
}

async function allHomes(storage: Storage): Promise<Set<string>> {
  const drivers = await Promise.all((await knownPools(storage)).map((pool) => driverOf(storage, pool.id)));
  return new Set([storage.volumesPath, ...drivers.map((driver) => driver.home)]);
}

/** Volumes of a cloud, also those of which a crash left only the beginning. */
export async function listVolumes(storage: Storage, cloudId: string): Promise<ObservedVolume[]> {
  const found = new Map<VolumeId, ObservedVolume>();
  const pools = await knownPools(storage);
  const drivers = await Promise.all(pools.map(({ id }) => driverOf(storage, id)));
  // One that cannot be reached measures nothing: its volumes are lost until it is back.
  const measures = new Map(
    await Promise.all(
      pools.map(async ({ id }, index) => [id, await drivers[index]!.measureAll?.().catch(() => nothing)] as const),
    ),
  );
  for (const home of new Set([storage.volumesPath, ...drivers.map((driver) => driver.home)])) {
    // One that is not there now tells of nothing.
    for (const name of await readdir(home).catch(() => [])) {
      if (isId('volume', name)) {
        if (found.has(name)) continue;
        const volume = await observeAt(storage, join(home, name), name, measures);
        if (volume?.cloudId === cloudId) found.set(name, volume);
        if (volume === undefined) await removeStrayLink(join(home, name));
        continue;
      }
      const id = name.endsWith(`.${cloudId}`) ? name.slice(1, -cloudId.length - 1) : '';
      if (isId('volume', id) && !found.has(id)) found.set(id, unfinished(id, cloudId));
    }
  }
  return [...found.values()];
}

/** A link to what another host has removed from a pool that is there. */
async function removeStrayLink(link: string): Promise<void> {
  const target = await readlink(link).catch(() => undefined);
  if (target === undefined) return;
  const there = await readdir(dirname(target)).catch(() => undefined);
  if (there !== undefined && there.length > 0 && !there.includes(basename(target))) await rm(link, { force: true });
}

export const observeVolume = (storage: Storage, id: VolumeId): Promise<ObservedVolume | undefined> =>
  observeAt(storage, volumeFolder(storage, id), id);

type Measures = ReadonlyMap<string, Measure>;
const nothing: Measures = new Map();

async function observeAt(
  storage: Storage,
  folder: string,
  id: VolumeId,
  measured: ReadonlyMap<PoolId, Measures | undefined> = new Map(),
): Promise<ObservedVolume | undefined> {
  const record = await readRecord(folder);
  if (record === undefined) return undefined;
  const { format = 'qcow2', ...known } = record;
  const ofPool = record.poolId && measured.get(record.poolId);
  if (ofPool) {
    const { sizeBytes, usedBytes = null } = ofPool.get(id) ?? {};
    const content = sizeBytes && contentBytes(sizeBytes, record.encrypted === true);
    return { ...known, format, sizeBytes: content ?? record.sizeBytes, usedBytes, intact: ofPool.has(id) };
  }
  const driver = await driverOf(storage, record.poolId).catch(() => undefined);
  const sizeBytes = await driver?.sizeOf(folder, id, record.encrypted).catch(() => undefined);
  const intact = sizeBytes !== undefined;
  const usedBytes = intact ? await driver!.usedBytes(folder, id) : null;
  return { ...known, format, sizeBytes: sizeBytes ?? record.sizeBytes, usedBytes, intact };
}

/** Ids of the volumes of any cloud that rest on an image. */
export async function findVolumesOn(storage: Storage, imageId: string): Promise<VolumeId[]> {
  const ids = (await readdir(storage.volumesPath)).filter((name) => isId('volume', name)) as VolumeId[];
  const records = await Promise.all(ids.map((id) => readVolume(storage, id)));
  return records
    .filter((record) => record?.source?.clone === 'linked' && record.source.imageId === imageId)
    .map((record) => record!.id);
}

function unfinished(id: VolumeId, cloudId: string): ObservedVolume {
  return { id, cloudId, generation: 0, name: '', sizeBytes: 0, usedBytes: null, keepsake: {}, intact: false };
}
