// What this host was told of pools, a file each, so that it finds their volumes by itself. Owns `pools/`. A file may hold a
// key, and is root's alone.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredPool } from '@virga/contract/agent/pools';
import { isId, type PoolId } from '@virga/contract/ids';
import { flushFolder, readJsonFile, writeFileDurably } from '../../durable-file.ts';
import type { Storage } from '../storage.ts';

const mode = 0o600;
const suffix = '.json';
const pathOf = (storage: Storage, id: PoolId): string => join(storage.poolsPath, `${id}${suffix}`);

export const readPool = (storage: Storage, id: PoolId): Promise<DesiredPool | undefined> =>
  readJsonFile(pathOf(storage, id));

export async function writePool(storage: Storage, pool: DesiredPool): Promise<void> {
  await writeFileDurably(pathOf(storage, pool.id), `${JSON.stringify(pool)}\n`, mode);
  await flushFolder(storage.poolsPath);
}

export async function forgetPool(storage: Storage, id: PoolId): Promise<void> {
  await rm(pathOf(storage, id), { force: true });
  await flushFolder(storage.poolsPath);
}

/** Of every cloud. */
export async function knownPools(storage: Storage): Promise<DesiredPool[]> {
  const ids = (await readdir(storage.poolsPath)).map((name) => name.slice(0, -suffix.length));
  const pools = await Promise.all(ids.filter((id) => isId('pool', id)).map((id) => readPool(storage, id as PoolId)));
  return pools.filter((pool) => pool !== undefined);
}
