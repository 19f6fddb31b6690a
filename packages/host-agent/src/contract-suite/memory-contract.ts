// Where the memory of a host is, whose pages its kernel may merge, huge pages, and guests that lend memory.
import assert from 'node:assert/strict';
import { type DesiredInstance, instanceDefaults } from '@virga/contract/agent/desired';
import type { GuestMemory } from '@virga/contract/agent/host-memory';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';

const kibPerMib = 1024;

async function memoryOf(world: ContractWorld, { id }: DesiredInstance): Promise<GuestMemory | undefined> {
  return (await world.agent.hostMemory(world.cloudId)).guests.find((guest) => guest.id === id);
}

export function memoryContract(test: ContractTest): void {
  test('tells what its guests that are on were promised, have and take, and of no other cloud’s', async (world, t) => {
    const desired = await world.launched(t);
    const memory = await world.agent.hostMemory(world.cloudId);
    assert.ok(memory.totalKib >= memory.availableKib && memory.availableKib > 0);
    const guest = memory.guests.find(({ id }) => id === desired.id);
    assert.equal(guest?.cloudId, world.cloudId);
    assert.deepEqual([guest.promisedKib, guest.currentKib], [64 * kibPerMib, 64 * kibPerMib]);
    assert.ok(guest.residentKib! > 0);
    assert.deepEqual([guest.hugePagesKib, guest.templateSharedKib, guest.templateSavedKib], [0, 0, 0]);
    assert.equal(guest.hasBalloon, true);
    assert.deepEqual((await world.agent.hostMemory('another')).guests, []);
    await world.converge(stopped(desired, -1), 'stopped');
    assert.equal(await memoryOf(world, desired), undefined);
  });

  test('gives the kernel no memory to merge of a guest that opted out, as of its next start', async (world, t) => {
    const memoryBacking = { hugePageKib: null, mergeable: false };
    const shy = await world.launched(t, world.instance(t, { memoryBacking }));
    const bold = await world.launched(t);
    assert.match(await world.agent.domainXml(shy.id), /<nosharepages\/>/);
    assert.equal((await memoryOf(world, bold))?.mergeable, true);
    assert.deepEqual([(await memoryOf(world, shy))?.mergeable, (await memoryOf(world, shy))?.mergedKib], [false, 0]);
    const quiet = { ...bold, generation: 2, memoryBacking };
    assert.equal((await world.agent.applyInstance(quiet)).generation, 2);
    await world.converge({ ...stopped(quiet, -1), generation: 3 }, 'stopped');
    await world.agent.applyInstance({ ...quiet, generation: 4 });
    assert.equal((await memoryOf(world, bold))?.mergeable, false);
  });

  test('refuses a guest on huge pages that are not free, and nothing of it is left', async (world, t) => {
    const memoryBacking = { hugePageKib: 2048 as const, mergeable: false };
    const large = 1024 * 1024;
    const desired = world.instance(t, { memoryBacking, memoryMib: large, maxMemoryMib: large });
    await rejectsWith('NoCapacity', world.agent.applyInstance(desired));
    assert.equal(await world.observed(desired), undefined);
  });

  test('says of which node huge pages are missing, when the guest is bound to its memory', async (world, t) => {
    const { numaNodes } = await world.agent.facts();
    const node = numaNodes[0]!.id;
    const size = 1024 * 1024;
    const launch = (policy: 'numa' | 'shared') => {
      const memoryBacking = { hugePageKib: 2048 as const, mergeable: false };
      const cpu = { ...instanceDefaults.cpu, hostCpus: [], policy, node };
      return world.agent.applyInstance(
        world.instance(t, { memoryBacking, memoryMib: size, maxMemoryMib: size, cpu } as Partial<DesiredInstance>),
      );
    };
    await assert.rejects(launch('numa'), { code: 'NoCapacity', detail: new RegExp(`in NUMA node ${node};`) });
    await assert.rejects(launch('shared'), {
      code: 'NoCapacity',
      detail: /^The host has \d+ free huge pages of 2 MiB;/,
    });
  });

  test('asks a guest to lend memory, which changes nothing of what it is to have', async (world, t) => {
    const desired = await world.launched(t);
    world.harness.keepMemory?.(desired);
    assert.equal(await world.agent.lendMemory(desired.id, 32), true);
    const lending = await memoryOf(world, desired);
    assert.deepEqual([lending?.promisedKib, lending?.currentKib], [64 * kibPerMib, 64 * kibPerMib], 'it keeps it');
    assert.equal((await world.observed(desired))?.generation, 1);
    assert.equal(await world.agent.lendMemory(desired.id, 1024), true, 'no more than it was promised is given back');
    assert.equal((await memoryOf(world, desired))?.promisedKib, 64 * kibPerMib);
    await world.agent.applyInstance({ ...desired, generation: 2 });
    assert.equal(await world.bootCount(desired), 1);
    assert.deepEqual((await world.observed(desired))?.sizes, { vcpus: 1, memoryMib: 64 });
  });

  test('leaves one alone that is off, or has no balloon to lend memory by', async (world, t) => {
    const plain = await world.launched(t, world.instance(t, { hardware: 'emulated' }));
    assert.equal((await memoryOf(world, plain))?.hasBalloon, false);
    assert.equal(await world.agent.lendMemory(plain.id, 32), false);
    const off = await world.launched(t);
    await world.converge(stopped(off, -1), 'stopped');
    assert.equal(await world.agent.lendMemory(off.id, 32), false);
  });
}
