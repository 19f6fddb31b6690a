// Pools, and what volumes can be made of: opened once, used by their volumes, forgotten when nothing is left in them; empty
// volumes and clones, sparse and not, encrypted and overwritten.
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { conforms } from '@virga/contract/agent/conforms';
import { type DesiredPool, ObservedPool } from '@virga/contract/agent/pools';
import { type DesiredVolume, ObservedVolume } from '@virga/contract/agent/volumes';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import type { ContractWorld } from './contract-world.ts';
import { tinyGuestDiskBytes } from './tiny-guest.ts';
import { aVolume, mebibyte } from './volume-contract.ts';

/** A pool in a folder of its own, which the host has not heard of yet. */
export async function aPool(
  world: ContractWorld,
  t: TestContext,
  changes: Partial<DesiredPool> = {},
): Promise<DesiredPool> {
  const path = await mkdtemp(join(tmpdir(), 'virga-pool-'));
  await chmod(path, 0o711);
  const pool: DesiredPool = {
    id: newId('pool'),
    cloudId: world.cloudId,
    generation: 1,
    name: 'fast',
    mustExist: false,
    place: { driver: 'directory', path },
    ...changes,
  };
  t.after(async () => {
    await world.agent.deletePool(pool);
    await rm(path, { recursive: true });
  });
  return pool;
}

export function poolContract(test: ContractTest): void {
  const listed = async (world: ContractWorld, { id }: DesiredPool, cloudId: string = world.cloudId) =>
    (await world.agent.listPools(cloudId)).find((pool) => pool.id === id);
  /** Made in the order in which it can be removed. */
  const volumeIn = (world: ContractWorld, t: TestContext, changes: Partial<DesiredVolume>) =>
    aVolume(world, t, changes);

  test('opens a pool, tells its size and abilities, and opens it again', async (world, t) => {
    const pool = await aPool(world, t);
    const observed = await world.agent.applyPool(pool);
    assert.ok(conforms(ObservedPool, observed), JSON.stringify(observed));
    assert.equal(observed.failure, null);
    assert.ok(observed.capacityBytes > 0 && observed.freeBytes <= observed.capacityBytes);
    assert.equal((await listed(world, pool))?.id, pool.id);
    assert.equal(await listed(world, pool, 'another'), undefined);
    assert.equal((await world.agent.applyPool({ ...pool, generation: 2, mustExist: true })).generation, 2);
    await rejectsWith('Conflict', world.agent.applyPool(pool));
    assert.equal(typeof (await world.agent.storageAbilities()).reflink, 'boolean');
  });

  test('refuses what is no folder, and forgets a pool once nothing of its is left', async (world, t) => {
    const pool = await aPool(world, t);
    const place = { driver: 'directory', path: 'relative/folder' } as const;
    await rejectsWith('PoolUnusable', world.agent.applyPool({ ...pool, place }));
    await world.agent.applyPool(pool);
    const { path } = pool.place as { path: string };
    const within = { driver: 'directory', path: join(path, 'within') } as const;
    await mkdir(within.path);
    await rejectsWith('PoolUnusable', world.agent.applyPool({ ...pool, id: newId('pool'), place: within }));
    const volume = volumeIn(world, t, { pool });
    await world.agent.applyVolume(volume);
    await rejectsWith('InUse', world.agent.deletePool(pool));
    await world.agent.deleteVolume(volume);
    await world.agent.deletePool(pool);
    assert.equal(await listed(world, pool), undefined);
    await world.agent.deletePool(pool);
  });

  test('a volume in a pool is made, told, grown and removed like any other', async (world, t) => {
    const pool = await aPool(world, t);
    // The pool is opened by the first volume that is to lie in it.
    const volume = volumeIn(world, t, { pool, format: 'raw' });
    const observed = await world.agent.applyVolume(volume);
    assert.ok(conforms(ObservedVolume, observed), JSON.stringify(observed));
    assert.deepEqual([observed.poolId, observed.format, observed.sizeBytes], [pool.id, 'raw', 64 * mebibyte]);
    const larger = { ...volume, generation: 2, mustExist: true, sizeBytes: 96 * mebibyte };
    assert.equal((await world.agent.applyVolume(larger)).sizeBytes, 96 * mebibyte);
    const ofCloud = await world.agent.listVolumes(world.cloudId);
    assert.deepEqual(
      ofCloud.filter(({ id }) => id === volume.id).map(({ intact }) => intact),
      [true],
    );
    await world.agent.deleteVolume({ ...volume, wipe: 'zero' });
    assert.ok(!(await world.agent.listVolumes(world.cloudId)).some(({ id }) => id === volume.id));
  });

  test('what is to be taken at once is taken at once', async (world, t) => {
    const volume = volumeIn(world, t, { format: 'raw', preallocation: 'falloc' });
    const { usedBytes } = await world.agent.applyVolume(volume);
    assert.ok(usedBytes !== null && usedBytes >= 64 * mebibyte, `it takes ${usedBytes} bytes`);
  });

  test('clones of an image are as large as was asked for, and a linked one keeps the image', async (world, t) => {
    const imageId = world.politeImage.id;
    for (const clone of ['full', 'linked'] as const) {
      const volume = volumeIn(world, t, { source: { imageId, clone } });
      const observed = await world.agent.applyVolume(volume);
      assert.deepEqual([observed.sizeBytes, observed.source?.clone], [64 * mebibyte, clone]);
      if (clone === 'linked') await rejectsWith('InUse', world.agent.deleteImage(world.politeImage));
    }
    const small = volumeIn(world, t, { sizeBytes: 512, source: { imageId, clone: 'full' } });
    assert.ok((await world.agent.applyVolume(small)).sizeBytes >= tinyGuestDiskBytes);
    const nothing = volumeIn(world, t, { source: { imageId: newId('image'), clone: 'full' } });
    await rejectsWith('NotFound', world.agent.applyVolume(nothing));
  });

  test('an encrypted volume says so, and is worked on once its passphrase was given to this agent', async (world, t) => {
    const bare = world.instance(t);
    const passphrase = 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGtub3dz';
    const volume = volumeIn(world, t, { passphrase });
    const observed = await world.agent.applyVolume(volume);
    assert.equal(observed.encrypted, true);
    const grown = { ...volume, generation: 2, mustExist: true, sizeBytes: 80 * mebibyte };
    assert.equal((await world.agent.applyVolume(grown)).sizeBytes, 80 * mebibyte);
    const volumes = [{ id: volume.id, target: 'vdc', readOnly: false }];
    const { id, uuid, domainName, cloudId } = await world.launched(t, { ...bare, volumes });
    const restarted = await world.harness.reopen();
    t.after(() => restarted.close());
    const asked = { id: newId('snapshot'), cloudId, name: 'before', instance: { id, uuid, domainName } };
    const snapshot = { ...asked, memory: false, mustExist: false, keepsake: {} };
    await rejectsWith('NotFound', restarted.applySnapshot(snapshot));
    assert.deepEqual(await world.agent.listSnapshots(cloudId), []);
    await restarted.applyVolume(grown);
    const { intact, disks } = await restarted.applySnapshot(snapshot);
    assert.deepEqual([intact, disks.length], [true, 2]);
    assert.equal((await world.observed(bare))?.drift, undefined);
    await restarted.deleteSnapshot(snapshot);
    assert.ok(!JSON.stringify(await world.agent.inventory()).includes(passphrase));
  });

  test('a root disk lies in a pool with all else of its instance, and goes with it', async (world, t) => {
    const pool = await aPool(world, t);
    const asked = world.instance(t);
    const desired = { ...asked, rootDisk: { ...asked.rootDisk, pool: pool.id } };
    await rejectsWith('PoolUnusable', world.agent.applyInstance(desired));
    await world.agent.applyPool(pool);
    await world.launched(t, desired);
    assert.equal((await world.observed(desired))?.intact, true);
    await rejectsWith('InUse', world.agent.deletePool(pool));
    await world.agent.deleteInstance(desired);
    assert.equal(await world.observed(desired), undefined);
    await world.agent.deletePool(pool);
  });

  test('a root disk in a folder that hosts share can be a full copy, which rests on nothing', async (world, t) => {
    const pool = await aPool(world, t);
    const shared = { ...pool, place: { ...pool.place, driver: 'shared-directory' } } as typeof pool;
    await world.agent.applyPool(shared);
    const asked = world.instance(t);
    const desired = { ...asked, rootDisk: { ...asked.rootDisk, pool: pool.id, clone: 'full' as const } };
    await world.launched(t, desired);
    assert.equal((await world.observed(desired))?.intact, true);
    await world.agent.deleteInstance(desired);
    await world.agent.deletePool(pool);
  });
}
