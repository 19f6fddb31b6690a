// Other sizes for an instance, while it runs and while it is off. What a guest makes of them is up to the guest; what it has is
// told as it is.
import assert from 'node:assert/strict';
import { VirgaError } from '@virga/contract/errors';
import type { ContractTest } from './contract-test.ts';
import { stopped } from './contract-world.ts';
import { tinyGuestDiskBytes } from './tiny-guest.ts';

export function resizeContract(test: ContractTest): void {
  test('shows the sizes of a guest that is on, and none of one that is off', async (world, t) => {
    const desired = world.instance(t, { vcpus: 2, maxVcpus: 3, memoryMib: 64, maxMemoryMib: 128 });
    assert.deepEqual((await world.agent.applyInstance(desired)).sizes, { vcpus: 2, memoryMib: 64 });
    assert.deepEqual((await world.observed(desired))?.sizes, { vcpus: 2, memoryMib: 64 });
    assert.equal((await world.converge(stopped(desired, -1), 'stopped')).sizes, undefined);
  });

  test('plugs vCPUs into a running guest as far as it was started with room for, and the rest at its next start', async (world, t) => {
    const desired = await world.launched(t, world.instance(t, { maxVcpus: 2 }));
    const two = { ...desired, generation: 2, vcpus: 2 };
    const observed = await world.agent.applyInstance(two);
    assert.deepEqual([observed.state, observed.generation, observed.sizes?.vcpus], ['running', 2, 2]);
    const three = { ...desired, generation: 3, vcpus: 3, maxVcpus: 3 };
    assert.equal((await world.agent.applyInstance(three)).sizes?.vcpus, 2);
    assert.equal(await world.bootCount(desired), 1);
    await world.converge({ ...stopped(three, -1), generation: 4 }, 'stopped');
    assert.equal((await world.agent.applyInstance({ ...three, generation: 5 })).sizes?.vcpus, 3);
  });

  test('an emulated guest keeps its vCPUs until it is started again', async (world, t) => {
    const desired = await world.launched(t, world.instance(t, { vcpus: 2, maxVcpus: 2 }));
    const one = { ...desired, generation: 2, vcpus: 1 };
    assert.equal((await world.agent.applyInstance(one)).sizes?.vcpus, 2);
    const reboot = { token: 'cycle', how: 'cycle' as const, forceAt: new Date(Date.now() + 60_000).toISOString() };
    await world.converge({ ...one, generation: 3, reboot }, 'running');
    await world.booted(desired, 2);
    assert.equal((await world.observed(desired))?.sizes?.vcpus, 1);
  });

  test('shows the memory that a guest keeps, which was asked to give some back', async (world, t) => {
    const desired = await world.launched(t, world.instance(t, { memoryMib: 64 }));
    world.harness.keepMemory?.(desired);
    const less = { ...desired, generation: 2, memoryMib: 32 };
    const observed = await world.agent.applyInstance(less);
    assert.deepEqual([observed.state, observed.generation, observed.sizes?.memoryMib], ['running', 2, 64]);
    assert.equal((await world.observed(desired))?.sizes?.memoryMib, 64);
    await world.converge({ ...stopped(less, -1), generation: 3 }, 'stopped');
    assert.equal((await world.agent.applyInstance({ ...less, generation: 4 })).sizes?.memoryMib, 32);
    await world.booted(desired, 2);
  });

  test('grows the root disk of a running guest and of one that is off, and never shrinks it', async (world, t) => {
    const desired = await world.launched(t);
    const sized = (generation: number, times: number) => ({
      ...desired,
      generation,
      rootDisk: { ...desired.rootDisk, sizeBytes: times * tinyGuestDiskBytes },
    });
    await world.agent.applyInstance(sized(2, 4));
    assert.equal(await world.harness.diskBytes(desired), 4 * tinyGuestDiskBytes);
    await world.converge({ ...stopped(sized(3, 6), -1), generation: 3 }, 'stopped');
    await world.agent.applyInstance({ ...stopped(sized(3, 6), -1), generation: 3 });
    assert.equal(await world.harness.diskBytes(desired), 6 * tinyGuestDiskBytes);
    await world.agent.applyInstance(sized(4, 2));
    assert.equal(await world.harness.diskBytes(desired), 6 * tinyGuestDiskBytes);
    await world.booted(desired, 2);
  });

  for (const step of ['vcpus', 'grow-disk']) {
    test(`goes on with another size that was cut short at ${step}`, async (world, t) => {
      const desired = await world.launched(t, world.instance(t, { maxVcpus: 2 }));
      const rootDisk = { ...desired.rootDisk, sizeBytes: 2 * tinyGuestDiskBytes };
      const larger = { ...desired, generation: 2, vcpus: 2, rootDisk };
      const reached: string[] = [];
      world.onStep(desired.id, (name) => {
        reached.push(name);
        if (name === step && reached.filter((it) => it === step).length === 1) throw interrupted();
      });
      await assert.rejects(world.agent.applyInstance(larger), { code: 'HostUnavailable' });
      const restarted = await world.harness.reopen();
      t.after(() => restarted.close());
      const observed = await restarted.applyInstance(larger);
      assert.deepEqual([observed.state, observed.generation, observed.sizes?.vcpus], ['running', 2, 2]);
      assert.equal(await world.harness.diskBytes(desired), 2 * tinyGuestDiskBytes);
      assert.equal(await world.bootCount(desired), 1);
    });
  }
}

const interrupted = () =>
  new VirgaError('HostUnavailable', { detail: 'The connection was cut.', action: 'Nothing: it is tried again.' });
