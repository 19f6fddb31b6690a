// What is written down of a move, a file for each volume or root disk that is being moved, from before its new place exists until its old
// one is gone. Owns `moves/` of the storage. It decides which place counts when nothing else can tell.
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type InstanceId, isId, type VolumeId } from '@virga/contract/ids';
import { flushFolder, readJsonFile, writeFileDurably } from '../../durable-file.ts';
import type { Storage } from '../storage.ts';
import type { VolumeRecord } from '../volumes/volume-record.ts';

/** A volume, or the root disk of the holder, told as one would be. */
export type MovingDisk = VolumeRecord & { isRoot?: true };

export type MoveRecord = {
  token: string;
  holder: { id: InstanceId; uuid: string } | null;
  /** What is known of the volume as it was, and as it will be. */
  before: MovingDisk;
  after: MovingDisk;
  /** Folders of the disk in the old place and in the new one; empty: it has none, as a root disk in Ceph. */
  from: string;
  to: string;
  /**
   * `copying`: the old place counts. `pivoting`: QEMU has been asked to let the new one count, or is about to be; what it did
   * is seen on the domain. `switched`: the new one counts.
   */
  phase: 'copying' | 'pivoting' | 'switched';
  /** Of a copy that was made without a guest and is whole: the mark of what was in the old place. */
  copied?: string | undefined;
  /** Of the host, when it was `pivoting`. */
  bootId?: string | undefined;
};

const mode = 0o600;
const folderMode = 0o700;
const suffix = '.json';
const folderOf = (storage: Storage): string => join(storage.path, 'moves');
const pathOf = (storage: Storage, id: VolumeId): string => join(folderOf(storage), `${id}${suffix}`);

export const readMove = (storage: Storage, id: VolumeId): Promise<MoveRecord | undefined> =>
  readJsonFile(pathOf(storage, id));

export async function writeMove(storage: Storage, record: MoveRecord): Promise<void> {
  await mkdir(folderOf(storage), { recursive: true, mode: folderMode });
  await writeFileDurably(pathOf(storage, record.before.id), `${JSON.stringify(record)}\n`, mode);
  await flushFolder(folderOf(storage));
}

export async function forgetMove(storage: Storage, id: VolumeId): Promise<void> {
  await rm(pathOf(storage, id), { force: true });
  await flushFolder(folderOf(storage));
}

/** Of every cloud. */
export async function knownMoves(storage: Storage): Promise<MoveRecord[]> {
  const names = await readdir(folderOf(storage)).catch(() => []);
  const ids = names.map((name) => name.slice(0, -suffix.length)).filter((name) => isId('volume', name));
  const records = await Promise.all(ids.map((id) => readMove(storage, id as VolumeId)));
  return records.filter((record) => record !== undefined);
}
