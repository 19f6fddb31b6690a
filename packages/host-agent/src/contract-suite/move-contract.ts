// Moves of volumes and root disks between pools: copied, switched, finished; taken back; and what is refused before anything changes.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DesiredMove } from '@virga/contract/agent/moves';
import type { DesiredPool } from '@virga/contract/agent/pools';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';
import { aPool } from './pool-contract.ts';
import { aVolume } from './volume-contract.ts';

/** @param pool undefined: the host's own storage */
function moveOf(volume: DesiredVolume, pool: DesiredPool | undefined, holder?: DesiredInstance): DesiredMove {
  const { pool: _, ...rest } = volume;
  return {
    token: newId('operation'),
    volume: { ...rest, ...(pool && { pool }), generation: volume.generation + 1, mustExist: true },
    holder: holder ? { id: holder.id, uuid: holder.uuid } : null,
  };
}

/** Of the root disk of an instance. */
export function rootMoveOf(desired: DesiredInstance, pool: DesiredPool | undefined): DesiredMove {
  const { id, sizeBytes } = desired.rootDisk;
  const { cloudId, generation, name } = desired;
  const volume = { id, cloudId, generation, name, sizeBytes, mustExist: true, keepsake: {} };
  return { ...moveOf(volume, pool, desired), isRoot: true };
}

/** From beginning to end. */
export async function moved({ agent }: ContractWorld, move: DesiredMove): Promise<void> {
  await agent.copyVolume(move);
  assert.equal(await agent.switchVolume(move), true);
  await agent.finishMove(identityOf(move));
}

const identityOf = ({ token, volume: { id, cloudId } }: DesiredMove) => ({ token, volumeId: id, cloudId });

export function moveContract(test: ContractTest): void {
  const placeOf = async (world: ContractWorld, { id }: DesiredVolume) => {
    const found = (await world.agent.listVolumes(world.cloudId)).filter((volume) => volume.id === id);
    return found.map(({ poolId, intact, generation }) => ({ poolId, intact, generation }));
  };
  const made = async (world: ContractWorld, t: TestContext) => {
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    return volume;
  };

  test('a volume lies in another pool after a move, and every step of it may be asked for twice', async (world, t) => {
    const pool = await aPool(world, t);
    const volume = await made(world, t);
    const move = moveOf(volume, pool);
    await world.agent.copyVolume(move);
    assert.deepEqual(await placeOf(world, volume), [{ poolId: undefined, intact: true, generation: 1 }]);
    assert.deepEqual(await world.agent.listMoves(world.cloudId), [{ ...identityOf(move), isSwitched: false }]);
    await world.agent.copyVolume(move);
    assert.equal(await world.agent.switchVolume(move), true);
    assert.equal(await world.agent.switchVolume(move), true);
    await world.agent.copyVolume(move);
    assert.deepEqual(await placeOf(world, volume), [{ poolId: pool.id, intact: true, generation: 2 }]);
    // Who has not heard of it yet asks for the volume as it was.
    assert.equal((await world.agent.applyVolume({ ...volume, mustExist: true })).poolId, pool.id);
    await rejectsWith('Conflict', world.agent.cancelMove(identityOf(move)));
    await world.agent.finishMove(identityOf(move));
    await world.agent.finishMove(identityOf(move));
    assert.deepEqual(await world.agent.listMoves(world.cloudId), []);
    assert.deepEqual(await placeOf(world, volume), [{ poolId: pool.id, intact: true, generation: 2 }]);
    await world.agent.deleteVolume(volume);
    assert.deepEqual(await placeOf(world, volume), []);
  });

  test('what a running guest has is moved, and the guest goes on', async (world, t) => {
    const pool = await aPool(world, t);
    const volume = await made(world, t);
    const volumes = [{ id: volume.id, target: 'vdc', readOnly: false }];
    const desired = await world.launched(t, world.instance(t, { volumes }));
    const move = moveOf(volume, pool, desired);
    await world.agent.copyVolume(move);
    assert.equal(await world.agent.switchVolume(move), true);
    await world.agent.finishMove(identityOf(move));
    const observed = await world.agent.applyInstance({ ...desired, generation: 2 });
    assert.deepEqual([observed.state, observed.drift], ['running', undefined]);
    await world.booted(desired, 1);
    assert.deepEqual(await placeOf(world, volume), [{ poolId: pool.id, intact: true, generation: 2 }]);
    await world.agent.deleteInstance(desired);
    await world.agent.deleteVolume(volume);
  });

  test('a guest that has been stopped since has its volume copied anew', async (world, t) => {
    const pool = await aPool(world, t);
    const volume = await made(world, t);
    const volumes = [{ id: volume.id, target: 'vdc', readOnly: false }];
    const desired = await world.launched(t, world.instance(t, { volumes }));
    const move = moveOf(volume, pool, desired);
    await world.agent.copyVolume(move);
    await world.converge(stopped(desired, 0), 'stopped');
    assert.equal(await world.agent.switchVolume(move), false);
    await world.agent.copyVolume(move);
    assert.equal(await world.agent.switchVolume(move), true);
    await world.agent.finishMove(identityOf(move));
    await world.agent.deleteInstance(desired);
    await world.agent.deleteVolume(volume);
  });

  test('a move that is taken back leaves the volume where it was', async (world, t) => {
    const pool = await aPool(world, t);
    const volume = await made(world, t);
    const move = moveOf(volume, pool);
    await world.agent.cancelMove(identityOf(move));
    await world.agent.copyVolume(move);
    await rejectsWith('Conflict', world.agent.copyVolume({ ...move, token: newId('operation') }));
    await world.agent.cancelMove({ ...identityOf(move), token: newId('operation') });
    assert.equal((await world.agent.listMoves(world.cloudId)).length, 1);
    await world.agent.cancelMove(identityOf(move));
    await world.agent.cancelMove(identityOf(move));
    assert.deepEqual(await world.agent.listMoves(world.cloudId), []);
    await rejectsWith('NotFound', world.agent.switchVolume(move));
    assert.deepEqual(await placeOf(world, volume), [{ poolId: undefined, intact: true, generation: 1 }]);
    await world.agent.deletePool(pool);
  });

  test('refuses to move what is not there, is there already, or rests below a snapshot or a memory', async (world, t) => {
    const pool = await aPool(world, t);
    const volume = await made(world, t);
    await rejectsWith('NotFound', world.agent.copyVolume(moveOf({ ...volume, id: newId('volume') }, pool)));
    await rejectsWith('InvalidArgument', world.agent.copyVolume(moveOf(volume, undefined)));
    const older = moveOf({ ...volume, generation: 0 }, pool);
    await rejectsWith('Conflict', world.agent.copyVolume(older));
    const volumes = [{ id: volume.id, target: 'vdc', readOnly: false }];
    const desired = await world.launched(t, world.instance(t, { volumes }));
    const { id, uuid, domainName, cloudId } = desired;
    const snapshot = {
      ...{ id: newId('snapshot'), cloudId, name: 'before', instance: { id, uuid, domainName } },
      ...{ memory: false, mustExist: false, keepsake: {} },
    };
    await world.agent.applySnapshot(snapshot);
    await rejectsWith('Conflict', world.agent.copyVolume(moveOf(volume, pool, desired)));
    await world.agent.deleteSnapshot(snapshot);
    await world.converge({ ...desired, generation: 2, power: { state: 'hibernated' } }, 'hibernated');
    await rejectsWith('Conflict', world.agent.copyVolume(moveOf(volume, pool, desired)));
    assert.deepEqual(await world.agent.listMoves(world.cloudId), []);
    await world.agent.deleteInstance(desired);
  });

  test('a root disk lies in another pool after a move, whether its guest runs or is off, rests on nothing, and all of it goes', async (world, t) => {
    const [fast, slow] = [await aPool(world, t), await aPool(world, t)];
    const desired = await world.launched(t);
    const there = rootMoveOf(desired, fast);
    await world.agent.copyVolume(there);
    assert.deepEqual(await world.agent.listMoves(world.cloudId), [{ ...identityOf(there), isSwitched: false }]);
    await rejectsWith('Conflict', world.agent.copyVolume({ ...there, token: newId('operation') }));
    assert.equal(await world.agent.switchVolume(there), true);
    await world.agent.copyVolume(there);
    // Who has not heard of it yet asks for it where it was.
    assert.equal((await world.agent.applyInstance(desired)).state, 'running');
    await world.agent.finishMove(identityOf(there));
    await rejectsWith('InUse', world.agent.deletePool(fast));
    const later = await world.agent.applyInstance({ ...desired, generation: 3 });
    assert.deepEqual([later.state, later.drift, later.intact], ['running', undefined, true]);
    const again = { ...desired, generation: 3, rootDisk: { ...desired.rootDisk, pool: fast.id } };
    await rejectsWith('InvalidArgument', world.agent.copyVolume(rootMoveOf(again, fast)));
    await world.converge(stopped(again, 0), 'stopped');
    await moved(world, rootMoveOf({ ...again, generation: 5 }, slow));
    await world.agent.deletePool(fast);
    const on = { ...again, generation: 7, rootDisk: { ...again.rootDisk, pool: slow.id } };
    await world.agent.applyInstance(on);
    await world.booted(on, 2);
    assert.equal((await world.observed(on))?.intact, true);
    await moved(world, rootMoveOf(on, undefined));
    await world.agent.copyVolume(rootMoveOf({ ...on, generation: 9 }, slow));
    // Both places go with it.
    await world.agent.deleteInstance(on);
    assert.deepEqual(await world.agent.listMoves(world.cloudId), []);
    await world.agent.deletePool(slow);
  });

  test('a volume that is being moved has no snapshot taken', async (world, t) => {
    const pool = await aPool(world, t);
    const volume = await made(world, t);
    const volumes = [{ id: volume.id, target: 'vdc', readOnly: false }];
    const desired = await world.launched(t, world.instance(t, { volumes }));
    const move = moveOf(volume, pool, desired);
    await world.agent.copyVolume(move);
    const { id, uuid, domainName, cloudId } = desired;
    const snapshot = {
      ...{ id: newId('snapshot'), cloudId, name: 'meanwhile', instance: { id, uuid, domainName } },
      ...{ memory: false, mustExist: false, keepsake: {} },
    };
    await rejectsWith('Conflict', world.agent.applySnapshot(snapshot));
    await world.agent.cancelMove(identityOf(move));
    await world.agent.deleteInstance(desired);
  });
}
