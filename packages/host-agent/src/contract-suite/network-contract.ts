// Networks: made, repaired, with exactly the leases that are wanted.
import assert from 'node:assert/strict';
import { conforms } from '@virga/contract/agent/conforms';
import { ObservedNetwork } from '@virga/contract/agent/observed';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';

export function networkContract(test: ContractTest): void {
  test('a network is active and has exactly the leases that are wanted', async (world, t) => {
    const base = world.network.cidr.replace(/0\/24$/, '');
    const lease = (number: number) => ({
      mac: `52:54:00:99:00:0${number}`,
      address: `${base}${number}`,
      hostName: `n${number}`,
    });
    t.after(() => world.agent.applyNetwork(withLeases(world, 4, [])));
    for (const [generation, numbers] of [
      [2, [2, 3]],
      [3, [3, 4]],
      [3, [3, 4]],
    ] as const) {
      const observed = await world.agent.applyNetwork(withLeases(world, generation, numbers.map(lease)));
      assert.ok(conforms(ObservedNetwork, observed), JSON.stringify(observed));
      const { mac, address, ...others } = { ...observed, mac: 0, address: 0 };
      assert.deepEqual(
        [others.id, others.cloudId, others.generation, others.active],
        [world.network.id, world.cloudId, generation, true],
      );
      const leased = observed.leases.map((it) => `${it.mac} ${it.address}`).sort();
      assert.deepEqual(
        leased,
        numbers.map((number) => `${lease(number).mac} ${lease(number).address}`),
      );
      assert.deepEqual(await world.observedNetwork(), observed);
    }
  });

  test('refuses a generation of a network that is older than the one applied', async (world) => {
    const generation = (await world.observedNetwork())?.generation ?? 0;
    await rejectsWith('Conflict', world.agent.applyNetwork({ ...world.network, generation: generation - 1 }));
  });

  test('a network that somebody stopped is told, seen as inactive, and started again', async (world, t) => {
    const events = await world.watch(t);
    const from = events.seen.length;
    await world.harness.virsh.networkDestroy(world.network);
    await events.next('the change', (event) => event.type === 'network-changed' && event.id === world.network.id, from);
    assert.equal((await world.observedNetwork())?.active, false);
    const generation = (await world.observedNetwork())?.generation ?? 0;
    assert.equal((await world.agent.applyNetwork({ ...world.network, generation })).active, true);
  });

  test('a network that somebody stopped and undefined is made again', async (world) => {
    const generation = (await world.observedNetwork())?.generation ?? 0;
    await world.harness.virsh.networkDestroy(world.network);
    await world.harness.virsh.networkUndefine(world.network);
    assert.equal(await world.observedNetwork(), undefined);
    assert.equal((await world.agent.applyNetwork({ ...world.network, generation })).active, true);
    assert.equal((await world.observedNetwork())?.active, true);
  });

  test('a running guest keeps running through all of that', async (world, t) => {
    const desired = await world.launched(t);
    const generation = (await world.observedNetwork())?.generation ?? 0;
    await world.harness.virsh.networkDestroy(world.network);
    const [nic] = desired.nics;
    const leases = [{ mac: nic!.mac, address: nic!.address, hostName: desired.seed.hostName }];
    await world.agent.applyNetwork(withLeases(world, generation, leases));
    const observed = await world.agent.applyInstance(desired);
    assert.deepEqual([observed.state, observed.intact], ['running', true]);
    assert.equal(await world.bootCount(desired), 1);
  });

  test('a guest can be stopped while its network is missing', async (world, t) => {
    const desired = await world.launched(t);
    const generation = (await world.observedNetwork())?.generation ?? 0;
    await world.harness.virsh.networkDestroy(world.network);
    await world.harness.virsh.networkUndefine(world.network);
    try {
      assert.equal((await world.agent.applyInstance(stopped(desired, -1))).state, 'stopped');
    } finally {
      await world.agent.applyNetwork({ ...world.network, generation });
    }
  });

  test('leaves a network of another cloud alone, and finds none there that is not its own', async (world) => {
    const generation = (await world.observedNetwork())?.generation ?? 0;
    const foreign = { ...world.network, cloudId: 'another', generation };
    await rejectsWith('Conflict', world.agent.applyNetwork(foreign));
    await world.agent.deleteNetwork(foreign);
    assert.equal((await world.observedNetwork())?.active, true);
    assert.deepEqual(await world.agent.listNetworks('another'), []);
  });

  test('deletes a network, and nothing there is success', async (world) => {
    const generation = (await world.observedNetwork())?.generation ?? 0;
    await world.agent.deleteNetwork(world.network);
    assert.equal(await world.observedNetwork(), undefined);
    await world.agent.deleteNetwork(world.network);
    await world.agent.applyNetwork({ ...world.network, generation });
  });
}

const withLeases = (world: ContractWorld, generation: number, leases: ContractWorld['network']['leases']) => ({
  ...world.network,
  generation,
  leases,
});
