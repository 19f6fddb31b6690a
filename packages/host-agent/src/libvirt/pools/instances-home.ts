// Where the folders of instances lie whose root disk is to be in a pool: beside the volumes of the pool, in a folder of their
// own; in the storage of the host when the pool is no folder.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { PoolId } from '@virga/contract/ids';
import { hasDiskIn } from '../instances/instance-folder.ts';
import type { Storage } from '../storage.ts';
import { DirectoryPool } from './directory-pool.ts';
import { driverOf } from './drivers.ts';
import type { PoolDriver } from './pool-driver.ts';

const folderName = 'instances';
const folderMode = 0o711;

/** @throws PoolUnusable it is not there */
export async function instancesHome(storage: Storage, poolId: PoolId | undefined): Promise<string> {
  if (poolId === undefined) return storage.instancesPath;
  const driver = await driverOf(storage, poolId);
  await driver.require();
  if (!(driver instanceof DirectoryPool)) return storage.instancesPath;
  const home = join(driver.path, folderName);
  await mkdir(home, { recursive: true, mode: folderMode });
  return home;
}

/** Whether instances have their disks there. */
export async function hasInstances(storage: Storage, poolId: PoolId, driver: PoolDriver): Promise<boolean> {
  if (await hasDiskIn(storage, poolId)) return true;
  if (!(driver instanceof DirectoryPool)) return false;
  return (await readdir(join(driver.path, folderName)).catch(() => [])).length > 0;
}
