// From nothing to a running instance; what is refused before anything is made.
import assert from 'node:assert/strict';
import { conforms } from '@virga/contract/agent/conforms';
import { ObservedInstance } from '@virga/contract/agent/observed';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';

export function launchContract(test: ContractTest): void {
  test('brings an instance from nothing to running: domain, leases, files, guest', async (world, t) => {
    const desired = world.instance(t);
    const observed = await world.agent.applyInstance(desired);
    assert.ok(conforms(ObservedInstance, observed), JSON.stringify(observed));
    assert.deepEqual(observed, {
      id: desired.id,
      cloudId: world.cloudId,
      generation: 1,
      state: 'running',
      reason: 'booted',
      intact: true,
      leftovers: false,
      domainName: desired.domainName,
      sizes: { vcpus: 1, memoryMib: 64 },
    });
    assert.deepEqual(await world.observed(desired), observed);
    assert.equal(await world.leasedAddress(desired), desired.nics[0]?.address);
    await world.booted(desired, 1);
  });

  test('applying the same again changes nothing', async (world, t) => {
    const desired = await world.launched(t);
    const first = await world.observed(desired);
    const xml = await world.agent.domainXml(desired.id);
    const again = await Promise.all([1, 2, 3].map(() => world.agent.applyInstance(desired)));
    for (const observed of again) assert.deepEqual(observed, first);
    assert.equal(await world.agent.domainXml(desired.id), xml);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('makes an instance that is to be stopped without booting it, and starts it when that is wanted', async (world, t) => {
    const running = world.instance(t);
    const off = { ...stopped(running), generation: 1 };
    assert.equal((await world.agent.applyInstance(off)).state, 'stopped');
    assert.equal(await world.bootCount(off), 0);
    const observed = await world.agent.applyInstance({ ...running, generation: 2 });
    assert.deepEqual([observed.state, observed.generation], ['running', 2]);
    await world.booted(running, 1);
  });

  test('refuses a generation that is older than the one applied', async (world, t) => {
    const desired = { ...world.instance(t), generation: 5 };
    await world.launched(t, desired);
    await rejectsWith('Conflict', world.agent.applyInstance({ ...stopped(desired, -1), generation: 4 }));
    const observed = await world.observed(desired);
    assert.deepEqual([observed?.state, observed?.generation], ['running', 5]);
  });

  test('a newer generation reaches a running guest without interrupting it', async (world, t) => {
    const desired = await world.launched(t);
    const observed = await world.agent.applyInstance({ ...desired, generation: 2 });
    assert.deepEqual([observed.state, observed.generation], ['running', 2]);
    assert.equal((await world.observed(desired))?.generation, 2);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('says NotFound, and makes nothing, when the image is not on the host', async (world, t) => {
    const desired = world.instance(t);
    const rootDisk = { ...desired.rootDisk, imageId: newId('image') };
    await rejectsWith('NotFound', world.agent.applyInstance({ ...desired, rootDisk }));
    await assertNothing(world, desired);
  });

  test('says NotFound, and makes nothing, when the network is not on the host', async (world, t) => {
    const desired = world.instance(t);
    const nics = desired.nics.map((nic) => ({ ...nic, networkId: newId('network') }));
    await rejectsWith('NotFound', world.agent.applyInstance({ ...desired, nics }));
    await assertNothing(world, desired);
  });

  test('says Conflict, and touches nothing, when the domain name belongs to somebody else', async (world, t) => {
    const desired = world.instance(t);
    await world.harness.virsh.defineForeign(desired.domainName);
    try {
      await rejectsWith('Conflict', world.agent.applyInstance(desired));
      await world.agent.deleteInstance(desired);
    } finally {
      await world.harness.virsh.undefineForeign(desired.domainName); // fails if it is gone
    }
    await assertNothing(world, desired);
  });

  test('says Conflict, and touches nothing, when the instance belongs to another cloud', async (world, t) => {
    const desired = await world.launched(t);
    await rejectsWith('Conflict', world.agent.applyInstance({ ...stopped(desired, -1), cloudId: 'another' }));
    assert.equal((await world.observed(desired))?.state, 'running');
  });

  test('says StorageFull, and leaves nothing, when there is no room', async (world, t) => {
    const desired = world.instance(t);
    await world.harness.fillStorage();
    try {
      await rejectsWith('StorageFull', world.agent.applyInstance(desired));
      await assertNothing(world, desired);
    } finally {
      await world.harness.freeStorage();
    }
    assert.equal((await world.agent.applyInstance(desired)).state, 'running');
  });
}

async function assertNothing(
  world: ContractWorld,
  desired: Parameters<ContractWorld['leasedAddress']>[0],
): Promise<void> {
  assert.equal(await world.observed(desired), undefined);
  assert.equal(await world.leasedAddress(desired), undefined);
}
