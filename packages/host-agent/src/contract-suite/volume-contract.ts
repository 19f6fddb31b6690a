// Volumes: made once, grown, never shrunk, never made again when they are lost, and removed.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { conforms } from '@virga/contract/agent/conforms';
import { type DesiredVolume, ObservedVolume } from '@virga/contract/agent/volumes';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import type { ContractWorld } from './contract-world.ts';

export const mebibyte = 1024 * 1024;

/** A volume of which nothing exists yet. It is gone after the test, after the instances made before it. */
export function aVolume(world: ContractWorld, t: TestContext, changes: Partial<DesiredVolume> = {}): DesiredVolume {
  const volume: DesiredVolume = {
    id: newId('volume'),
    cloudId: world.cloudId,
    generation: 1,
    name: 'data',
    sizeBytes: 64 * mebibyte,
    mustExist: false,
    keepsake: { name: 'data' },
    ...changes,
  };
  t.after(() => world.agent.deleteVolume(volume));
  return volume;
}

export function volumeContract(test: ContractTest): void {
  const listed = async (world: ContractWorld, { id }: DesiredVolume, cloudId: string = world.cloudId) =>
    (await world.agent.listVolumes(cloudId)).find((volume) => volume.id === id);

  test('makes a volume, tells it with its keepsake, and makes no other when it is asked again', async (world, t) => {
    const volume = aVolume(world, t);
    const observed = await world.agent.applyVolume(volume);
    assert.ok(conforms(ObservedVolume, observed), JSON.stringify(observed));
    const { mustExist: _, ...asked } = volume;
    assert.ok(observed.usedBytes !== null && observed.usedBytes < 8 * mebibyte, 'it takes what was written to it');
    const expected = { ...asked, format: 'qcow2', usedBytes: observed.usedBytes, intact: true };
    assert.deepEqual(observed, expected);
    assert.deepEqual(await listed(world, volume), observed);
    assert.deepEqual(await world.agent.applyVolume({ ...volume, mustExist: true }), observed);
    assert.equal(await listed(world, volume, 'another'), undefined);
  });

  test('grows a volume, and never shrinks it', async (world, t) => {
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    const larger = { ...volume, generation: 2, sizeBytes: 96 * mebibyte };
    assert.equal((await world.agent.applyVolume(larger)).sizeBytes, 96 * mebibyte);
    const smaller = { ...volume, generation: 3 };
    const observed = await world.agent.applyVolume(smaller);
    assert.deepEqual([observed.sizeBytes, observed.generation], [96 * mebibyte, 3]);
  });

  test('a volume that must be there and is not is refused, not made anew', async (world, t) => {
    const volume = aVolume(world, t, { mustExist: true });
    await rejectsWith('HypervisorRefused', world.agent.applyVolume(volume));
    assert.equal(await listed(world, volume), undefined);
  });

  test('refuses a generation of a volume that is older than the one applied', async (world, t) => {
    const volume = aVolume(world, t, { generation: 3 });
    await world.agent.applyVolume(volume);
    await rejectsWith('Conflict', world.agent.applyVolume({ ...volume, generation: 2 }));
  });

  test('says StorageFull, and leaves nothing of a volume, when there is no room', async (world, t) => {
    const volume = aVolume(world, t);
    await world.harness.fillStorage();
    try {
      await rejectsWith('StorageFull', world.agent.applyVolume(volume));
      assert.equal(await listed(world, volume), undefined);
    } finally {
      await world.harness.freeStorage();
    }
    assert.equal((await world.agent.applyVolume(volume)).intact, true);
  });

  test('removes a volume, and nothing there is success', async (world, t) => {
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    await world.agent.deleteVolume(volume);
    assert.equal(await listed(world, volume), undefined);
    await world.agent.deleteVolume(volume);
  });

  test('leaves alone a volume of another cloud', async (world, t) => {
    const volume = aVolume(world, t);
    await world.agent.applyVolume(volume);
    await world.agent.deleteVolume({ id: volume.id, cloudId: 'another' });
    await rejectsWith('Conflict', world.agent.applyVolume({ ...volume, cloudId: 'another', generation: 2 }));
    assert.equal((await listed(world, volume))?.intact, true);
  });

  test('a call for a volume that was interrupted hinders no other', async (world, t) => {
    const volume = aVolume(world, t);
    world.onStep(volume.id, (step) => {
      if (step === 'volume') throw new Error('interrupted');
    });
    await assert.rejects(world.agent.applyVolume(volume), /interrupted/);
    world.onStep(volume.id, () => undefined);
    assert.equal((await world.agent.applyVolume(volume)).intact, true);
  });
}
