// Where the folders of instances lie whose root disk is to be in a pool. Beside the volumes of the pool, in a folder of their own.
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import type { PoolId } from '@virga/contract/ids';
import type { Storage } from '../storage.ts';
import { DirectoryPool } from './directory-pool.ts';
import { driverOf } from './drivers.ts';
import type { PoolDriver } from './pool-driver.ts';

const folderName = 'instances';
const folderMode = 0o711;

/** @throws PoolUnusable it is not there, or no folder */
export async function instancesHome(storage: Storage, poolId: PoolId | undefined): Promise<string> {
  if (poolId === undefined) return storage.instancesPath;
  const driver = await driverOf(storage, poolId);
  if (!(driver instanceof DirectoryPool)) {
    throw new VirgaError('PoolUnusable', {
      detail: 'A root disk lies in a pool that is a folder.',
      action: 'Choose another pool; volumes can lie in any.',
    });
  }
  await driver.require();
  const home = join(driver.path, folderName);
  await mkdir(home, { recursive: true, mode: folderMode });
  return home;
}

/** Whether instances have their disks there. */
export async function hasInstances(driver: PoolDriver): Promise<boolean> {
  if (!(driver instanceof DirectoryPool)) return false;
  return (await readdir(join(driver.path, folderName)).catch(() => [])).length > 0;
}
