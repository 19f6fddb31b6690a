// The disks of a move, in the old place and in the new one, as their pools know them.
import { DirectoryPool } from '../pools/directory-pool.ts';
import { driverOf } from '../pools/drivers.ts';
import type { PoolDriver, PresentDisk } from '../pools/pool-driver.ts';
import type { Storage } from '../storage.ts';
import type { MoveRecord, MovingDisk } from './move-record.ts';

export type MovePlace = {
  /** As domains name it: see `diskName`. */
  name: string;
  isFile: boolean;
  withImage<T>(use: (options: string) => Promise<T>): Promise<T>;
  mark(): Promise<string>;
  isAsMarked(mark: string): Promise<boolean>;
  writtenAt(): Promise<bigint | undefined>;
};

/** Of the pool that it lies in, or is to. @throws PoolUnusable */
export const driverFor = (
  storage: Storage,
  { poolId, isRoot }: Pick<MovingDisk, 'poolId' | 'isRoot'>,
): Promise<PoolDriver> => driverOf(storage, poolId, isRoot && 'root');

export const oldPlace = (storage: Storage, { before, from }: MoveRecord): Promise<MovePlace> =>
  placeOf(storage, before, from);

export const newPlace = (storage: Storage, { after, to }: MoveRecord): Promise<MovePlace> =>
  placeOf(storage, after, to);

async function placeOf(storage: Storage, moving: MovingDisk, folder: string): Promise<MovePlace> {
  const { id, format = 'qcow2', encrypted = false } = moving;
  const driver = await driverFor(storage, moving);
  const disk: PresentDisk = { id, format, encrypted };
  return {
    name: driver.nameOf(folder, disk),
    isFile: driver instanceof DirectoryPool,
    withImage: (use) => driver.withImage(folder, disk, use),
    mark: () => driver.markContent(folder, disk),
    isAsMarked: (mark) => driver.isAsMarked(folder, disk, mark),
    writtenAt: () => driver.writtenAt(folder, disk),
  };
}
