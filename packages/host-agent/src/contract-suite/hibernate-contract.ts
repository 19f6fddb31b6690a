// Guests whose memory lies on the host's disk: they go on where they were, also after anything that may happen meanwhile to
// agents and files, and what is lost is said.
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, isInstance, stopped } from './contract-world.ts';

export function hibernateContract(test: ContractTest): void {
  test('a guest hibernates, another agent knows it, and it goes on where it was', async (world, t) => {
    const desired = await hibernated(world, t);
    const observed = await world.agent.applyInstance(desired);
    assert.deepEqual([observed.state, observed.generation, observed.intact], ['hibernated', 2, true]);
    const restarted = await world.harness.reopen();
    t.after(() => restarted.close());
    assert.equal((await world.observed(desired, restarted))?.state, 'hibernated');
    assert.equal((await restarted.applyInstance(desired)).state, 'hibernated');
    const woken = await restarted.applyInstance(running(desired));
    assert.deepEqual([woken.state, woken.reason, woken.generation], ['running', 'restored', 3]);
    assert.equal(await world.bootCount(desired), 1);
    assert.equal((await world.agent.applyInstance(running(desired))).state, 'running');
  });

  test('a guest that is off stays off, and one that is undefined is defined and stays off', async (world, t) => {
    const desired = hibernate(world.instance(t));
    assert.equal((await world.agent.applyInstance(desired)).state, 'stopped');
    await world.harness.virsh.undefine(desired);
    assert.equal((await world.agent.applyInstance(desired)).state, 'stopped');
    assert.equal(await world.bootCount(desired), 0);
  });

  test('a paused guest hibernates, and runs when it is woken, or stands still where that is desired', async (world, t) => {
    const desired = await world.launched(t);
    await world.agent.applyInstance({ ...desired, generation: 2, power: { state: 'paused' } });
    await world.agent.applyInstance({ ...desired, generation: 3, power: { state: 'hibernated' } });
    assert.equal((await world.agent.applyInstance({ ...desired, generation: 4 })).state, 'running');
    await world.agent.applyInstance({ ...desired, generation: 5, power: { state: 'hibernated' } });
    const still = { ...desired, generation: 6, power: { state: 'paused' as const } };
    assert.equal((await world.agent.applyInstance(still)).state, 'paused');
    assert.equal(await world.bootCount(desired), 1);
  });

  test('its memory is given up by who would cut it off, and by nobody else', async (world, t) => {
    const desired = await hibernated(world, t);
    assert.equal((await world.agent.applyInstance(stopped(desired))).state, 'hibernated');
    const off = stopped(desired, -1);
    const observed = await world.agent.applyInstance(off);
    assert.deepEqual([observed.state, observed.intact], ['stopped', true]);
    await world.agent.applyInstance(off);
    assert.equal((await world.agent.applyInstance({ ...running(desired), generation: 4 })).state, 'running');
    await world.booted(desired, 2);
  });

  test('its memory goes with it when it is deleted', async (world, t) => {
    const desired = await hibernated(world, t);
    await world.agent.deleteInstance(desired);
    assert.equal(await world.observed(desired), undefined);
    const again = { ...running(desired), generation: 4 };
    assert.equal((await world.agent.applyInstance(again)).reason, 'booted');
    await world.booted(desired, 1);
  });

  test('virsh managedsave and start are seen as what they are', async (world, t) => {
    const desired = await world.launched(t);
    const events = await world.watch(t);
    const from = events.seen.length;
    await world.harness.virsh.managedSave(desired);
    await events.next('the save', isInstance(desired.id, { state: 'hibernated' }), from);
    await world.harness.virsh.start(desired);
    await events.next('the start', isInstance(desired.id, { state: 'running', reason: 'restored' }), from);
    const states = events.seen
      .slice(from)
      .flatMap((event) => (event.type === 'instance' ? [event.instance.state] : []));
    assert.ok(!states.includes('paused'), states.join());
    assert.equal(await world.bootCount(desired), 1);
  });

  test('memory that somebody removed is not pretended to be there', async (world, t) => {
    const desired = await hibernated(world, t);
    await world.harness.virsh.managedSaveRemove(desired);
    assert.equal((await world.observed(desired))?.state, 'stopped');
    const observed = await world.agent.applyInstance(running(desired));
    assert.deepEqual([observed.state, observed.reason], ['running', 'booted']);
    await world.booted(desired, 2);
  });

  test('memory that cannot be read is refused once, and then the instance is off', async (world, t) => {
    const desired = await hibernated(world, t);
    await world.harness.breakSavedMemory(desired);
    await rejectsWith('SavedMemoryUnusable', world.agent.applyInstance(running(desired)));
    assert.equal((await world.observed(desired))?.state, 'stopped');
    assert.equal(await world.bootCount(desired), 1);
    assert.equal((await world.agent.applyInstance(running(desired))).state, 'running');
    await world.booted(desired, 2);
  });

  test('a guest whose memory has no room runs on', async (world, t) => {
    const desired = await world.launched(t);
    await world.harness.fillStorage();
    try {
      await rejectsWith('StorageFull', world.agent.applyInstance(hibernate(desired)));
    } finally {
      await world.harness.freeStorage();
    }
    assert.equal((await world.observed(desired))?.state, 'running');
    assert.equal((await world.agent.applyInstance(hibernate(desired))).state, 'hibernated');
  });

  test('a wake that fails, or is interrupted, at any step loses no memory', async (world, t) => {
    for (const [code, step] of [
      ['HypervisorRefused', 'define'],
      ['HypervisorRefused', 'start'],
      ['HypervisorRefused', 'metadata'],
      ['HostUnavailable', 'start'],
      ['HostUnavailable', 'metadata'],
    ] as const) {
      const desired = await hibernated(world, t);
      let isOver = false;
      world.onStep(desired.id, (at) => {
        if (at === step && !isOver) {
          isOver = true;
          throw new VirgaError(code, { detail: 'A test fails this step.', action: 'Nothing.' });
        }
      });
      const woken = running(desired);
      const first = await world.agent.applyInstance(woken).catch((error: unknown) => error);
      // One of the steps is of the real host only.
      if (isOver) assert.equal((first as VirgaError).code, code);
      assert.equal((await world.agent.applyInstance(woken)).state, 'running', `${code} at ${step}`);
      assert.equal(await world.bootCount(desired), 1, `${code} at ${step}`);
    }
  });
}

const hibernate = (desired: DesiredInstance): DesiredInstance => ({
  ...desired,
  generation: desired.generation + 1,
  power: { state: 'hibernated' },
});

const running = (desired: DesiredInstance): DesiredInstance => ({
  ...desired,
  generation: desired.generation + 1,
  power: { state: 'running' },
});

async function hibernated(world: ContractWorld, t: TestContext): Promise<DesiredInstance> {
  const desired = hibernate(await world.launched(t));
  assert.equal((await world.agent.applyInstance(desired)).state, 'hibernated');
  return desired;
}
