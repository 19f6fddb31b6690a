// Root disks in a pool of Ceph: clones of a copy of their image, which lasts as long as one of them, or copies of their own.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { newId } from '@virga/contract/ids';
import { chainOf, desiredBackup, storeOf } from './backup-contract.ts';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';
import { moved, rootMoveOf } from './move-contract.ts';
import { aPool } from './pool-contract.ts';
import { mebibyte } from './volume-contract.ts';

export function cephRootContract(test: ContractTest): void {
  /** The pool is opened; the instance is gone before it. */
  const inCeph = async (world: ContractWorld, t: TestContext, clone?: 'full') => {
    const { cephPlace: place } = world.harness;
    if (place === undefined) return t.skip('Ceph is not installed');
    const pool = await aPool(world, t, { name: 'ceph', place });
    await world.agent.applyPool(pool);
    const asked = (): DesiredInstance => {
      const desired = world.instance(t);
      return { ...desired, rootDisk: { ...desired.rootDisk, pool: pool.id, ...(clone && { clone }) } };
    };
    return { pool, asked };
  };

  test('a root disk in Ceph rests on a copy of its image that is there once, for as long as a disk needs it', async (world, t) => {
    const ceph = await inCeph(world, t);
    if (!ceph) return;
    const { agent, cloudId } = world;
    const { pool, asked } = ceph;
    const [one, other] = [asked(), asked()];
    await Promise.all([world.launched(t, one), world.launched(t, other)]);
    assert.equal((await world.observed(one))?.intact, true);
    const copy = { poolId: pool.id, imageId: world.politeImage.id, cloudId };
    assert.deepEqual(await agent.listImageCopies(cloudId), [copy]);
    assert.deepEqual(await agent.listImageCopies('another'), []);
    await rejectsWith('InUse', agent.deletePool(pool));
    await agent.deleteInstance(other);
    await rejectsWith('InUse', agent.deleteImageCopy(copy));
    await agent.deleteInstance(one);
    await agent.deleteImageCopy(copy);
    await agent.deleteImageCopy(copy);
    assert.deepEqual(await agent.listImageCopies(cloudId), []);
    await agent.deletePool(pool);
  });

  test('one that rests on a copy of its image is moved home while its guest runs, needs that no longer, and goes back when it is off', async (world, t) => {
    const ceph = await inCeph(world, t);
    if (!ceph) return;
    const { agent, cloudId } = world;
    const desired = await world.launched(t, ceph.asked());
    const { id, uuid, domainName } = desired;
    const snapshot = {
      ...{ id: newId('snapshot'), cloudId, name: 'before', instance: { id, uuid, domainName } },
      ...{ memory: false, mustExist: false, keepsake: {} },
    };
    await agent.applySnapshot(snapshot);
    await rejectsWith('Conflict', agent.copyVolume(rootMoveOf(desired, undefined)));
    await agent.deleteSnapshot(snapshot);
    await moved(world, rootMoveOf(desired, undefined));
    await agent.deleteImageCopy({ poolId: ceph.pool.id, imageId: world.politeImage.id, cloudId });
    const off = stopped({ ...desired, generation: 3 }, 0);
    await world.converge(off, 'stopped');
    await moved(world, rootMoveOf(off, ceph.pool));
    const on = { ...desired, generation: 6 };
    await agent.applyInstance(on);
    await world.booted(on, 2);
    await rejectsWith('InUse', agent.deletePool(ceph.pool));
    await agent.deleteInstance(on);
    await agent.deletePool(ceph.pool);
  });

  test('one that is a full copy rests on nothing, grows while its guest runs and when it is off, and starts again', async (world, t) => {
    const ceph = await inCeph(world, t, 'full');
    if (!ceph) return;
    const { agent, cloudId } = world;
    const desired = await world.launched(t, ceph.asked());
    assert.deepEqual(await agent.listImageCopies(cloudId), []);
    const sized = (generation: number, mib: number): DesiredInstance => ({
      ...desired,
      generation,
      rootDisk: { ...desired.rootDisk, sizeBytes: mib * mebibyte },
    });
    await agent.applyInstance(sized(2, 8));
    assert.equal(await world.harness.diskBytes(desired), 8 * mebibyte);
    const off = { state: 'stopped', forceAt: new Date(0).toISOString() } as const;
    assert.equal((await agent.applyInstance({ ...sized(3, 12), power: off })).state, 'stopped');
    await agent.applyInstance(sized(4, 16));
    assert.equal(await world.harness.diskBytes(desired), 16 * mebibyte);
    await agent.deleteInstance(desired);
    await agent.deletePool(ceph.pool);
  });

  test('a backup of one rests on the one before, also of an instance that is off, and takes its place', async (world, t) => {
    const ceph = await inCeph(world, t);
    if (!ceph) return;
    const { agent, cloudId } = world;
    const store = storeOf(world);
    await agent.openBackupStore(store);
    const desired = await world.launched(t, ceph.asked());
    const first = desiredBackup(world, store, desired);
    const full = await agent.makeBackup(first);
    await agent.endBackup({ ...first, made: true });
    const off = { state: 'stopped', forceAt: new Date(0).toISOString() } as const;
    await agent.applyInstance({ ...desired, generation: 2, power: off });
    const second = desiredBackup(world, store, desired, full);
    const incremental = await agent.makeBackup(second);
    await agent.endBackup({ ...second, made: true });
    assert.deepEqual([full.fullReason, incremental.fullReason], ['first', null]);
    const root = desired.rootDisk.id;
    const restore = { id: newId('restore'), cloudId, instance: desired };
    const disks = [{ id: root, role: 'root' as const, fetched: root }];
    const chain = chainOf(full, incremental);
    await agent.fetchRestore({ ...restore, store, disks: [{ id: root, chain }], hidesBase: true });
    await agent.checkSwap({ ...restore, disks });
    await agent.swapDisks({ ...restore, disks });
    await agent.endRestore(restore);
    await agent.applyInstance({ ...desired, generation: 3 });
    await world.booted(desired, 2);
    await agent.deleteInstance(desired);
    await agent.deletePool(ceph.pool);
  });

  test('a root disk in Ceph is kept in snapshots, gone back to, looked into and cloned there', async (world, t) => {
    const ceph = await inCeph(world, t);
    if (!ceph) return;
    const { agent, cloudId } = world;
    const desired = await world.launched(t, ceph.asked());
    const { id, uuid, domainName, rootDisk } = desired;
    const snapshot = {
      ...{ id: newId('snapshot'), cloudId, name: 'before', memory: false, mustExist: false, keepsake: {} },
      instance: { id, uuid, domainName },
    };
    const { disks, consistency, intact } = await agent.applySnapshot(snapshot);
    assert.deepEqual([disks.map((disk) => disk.id), consistency, intact], [[rootDisk.id], 'crash', true]);
    assert.equal((await world.observed(desired))?.state, 'running');
    const revert = { ...snapshot, token: newId('operation') };
    await rejectsWith('Conflict', agent.revertSnapshot(revert));
    const off = { state: 'stopped', forceAt: new Date(0).toISOString() } as const;
    await agent.applyInstance({ ...desired, generation: 2, power: off });
    await agent.revertSnapshot(revert);
    assert.ok((await agent.lintImage(cloudId, { kind: 'instance', id })).findings);
    const copy = ceph.asked();
    const names = { id: copy.id, uuid: copy.uuid, domainName: copy.domainName, rootDiskId: copy.rootDisk.id };
    await agent.makeClone({ ...names, cloudId, snapshot, kind: 'linked' });
    await world.launched(t, copy);
    await rejectsWith('InUse', agent.deleteSnapshot(snapshot));
    await rejectsWith('InUse', agent.deleteInstance(desired));
    await agent.deleteInstance(copy);
    await agent.deleteSnapshot(snapshot);
    assert.deepEqual(await agent.listSnapshots(cloudId), []);
    await agent.deleteInstance(desired);
    await agent.deletePool(ceph.pool);
    await agent.applyPool(ceph.pool);
    assert.deepEqual(await agent.listImageCopies(cloudId), [], 'copies that nothing rests on go with the pool');
    await agent.deletePool(ceph.pool);
  });
}
