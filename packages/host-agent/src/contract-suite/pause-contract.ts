// Guests that stand still with their memory on the host, and go on as if nothing had been.
import assert from 'node:assert/strict';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ContractTest } from './contract-test.ts';
import { isInstance, stopped } from './contract-world.ts';

export function pauseContract(test: ContractTest): void {
  test('a running guest is paused, stays so, and goes on', async (world, t) => {
    const desired = await world.launched(t);
    const paused = pausedOf(desired);
    const observed = await world.agent.applyInstance(paused);
    assert.deepEqual([observed.state, observed.reason, observed.generation], ['paused', 'suspended', 2]);
    assert.equal((await world.agent.applyInstance(paused)).state, 'paused');
    assert.equal((await world.agent.applyInstance({ ...desired, generation: 3 })).state, 'running');
    assert.equal(await world.bootCount(desired), 1);
  });

  test('a guest that is off is started standing still, and boots when it goes on', async (world, t) => {
    const desired = pausedOf(world.instance(t));
    assert.equal((await world.agent.applyInstance(desired)).state, 'paused');
    assert.equal(await world.bootCount(desired), 0);
    const running = { ...desired, generation: 3, power: { state: 'running' as const } };
    assert.equal((await world.agent.applyInstance(running)).state, 'running');
    await world.booted(desired, 1);
  });

  test('a guest that somebody paused goes on when it is to run, and one that somebody let go on is paused again', async (world, t) => {
    const desired = await world.launched(t);
    await world.harness.virsh.suspend(desired);
    assert.equal((await world.agent.applyInstance(desired)).state, 'running');
    const paused = pausedOf(desired);
    await world.agent.applyInstance(paused);
    await world.harness.virsh.resume(desired);
    assert.equal((await world.agent.applyInstance(paused)).state, 'paused');
    assert.equal(await world.bootCount(desired), 1);
  });

  test('a paused guest is let go on to shut down, since it could not hear the button', async (world, t) => {
    const desired = await world.launched(t);
    await world.agent.applyInstance(pausedOf(desired));
    const events = await world.watch(t);
    await world.converge({ ...stopped(desired), generation: 3 }, 'stopped');
    await events.next('the shutdown', isInstance(desired.id, { state: 'stopped', reason: 'guest-shutdown' }));
  });

  test('a paused guest is cut off when there is no time for it', async (world, t) => {
    const desired = await world.launched(t);
    await world.agent.applyInstance(pausedOf(desired));
    const observed = await world.agent.applyInstance({ ...stopped(desired, -1), generation: 3 });
    assert.deepEqual([observed.state, observed.reason], ['stopped', 'destroyed']);
  });

  test('a reboot that was asked for waits until the guest goes on', async (world, t) => {
    const desired = await world.launched(t);
    const reboot = { token: 'first', how: 'reset' as const };
    assert.equal((await world.agent.applyInstance({ ...pausedOf(desired), reboot })).state, 'paused');
    assert.equal(await world.bootCount(desired), 1);
    assert.equal((await world.agent.applyInstance({ ...desired, generation: 3, reboot })).state, 'running');
    await world.booted(desired, 2);
  });
}

const pausedOf = (desired: DesiredInstance): DesiredInstance => ({
  ...desired,
  generation: desired.generation + 1,
  power: { state: 'paused' },
});
