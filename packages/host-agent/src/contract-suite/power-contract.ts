// Stopping by the guest's own hand with a deadline, starting again, rebooting once for each request.
import assert from 'node:assert/strict';
import type { ContractTest } from './contract-test.ts';
import { isInstance, stopped } from './contract-world.ts';

export function powerContract(test: ContractTest): void {
  test('asks a guest to shut down, and does not wait for it', async (world, t) => {
    const desired = await world.launched(t);
    const events = await world.watch(t);
    const off = stopped(desired);
    const answer = await world.agent.applyInstance(off);
    assert.ok(['stopping', 'stopped'].includes(answer.state), answer.state);
    assert.equal(answer.generation, off.generation);
    await events.next('the shutdown', isInstance(off.id, { state: 'stopped', reason: 'guest-shutdown' }));
    const observed = await world.agent.applyInstance(off);
    assert.deepEqual([observed.state, observed.reason], ['stopped', 'guest-shutdown']);
  });

  test('cuts a guest off that has not shut down by then, and not before', async (world, t) => {
    const desired = await world.launched(t, world.stubbornInstance(t));
    const off = stopped(desired);
    for (let call = 0; call < 3; call++) assert.equal((await world.agent.applyInstance(off)).state, 'stopping');
    assert.equal((await world.observed(off))?.state, 'stopping');
    const now = { ...off, power: { state: 'stopped' as const, forceAt: new Date().toISOString() } };
    const observed = await world.agent.applyInstance(now);
    assert.deepEqual([observed.state, observed.reason, observed.intact], ['stopped', 'destroyed', true]);
  });

  test('cuts a guest off at once when there is no time for it', async (world, t) => {
    const desired = await world.launched(t, world.stubbornInstance(t));
    const observed = await world.agent.applyInstance(stopped(desired, -1));
    assert.deepEqual([observed.state, observed.reason], ['stopped', 'destroyed']);
  });

  test('starts a stopped instance, and it boots from the disk that it had', async (world, t) => {
    const desired = await world.launched(t);
    await world.converge(stopped(desired), 'stopped');
    const observed = await world.agent.applyInstance({ ...desired, generation: 3 });
    assert.deepEqual([observed.state, observed.reason, observed.generation], ['running', 'booted', 3]);
    await world.booted(desired, 2);
  });

  test('a start that comes while the guest may be shutting down ends with a guest that was started', async (world, t) => {
    const desired = await world.launched(t, world.stubbornInstance(t));
    await world.agent.applyInstance(stopped(desired));
    const again = { ...desired, generation: 3 };
    assert.equal((await world.agent.applyInstance(again)).state, 'stopping', 'it may still go down');
    await world.harness.virsh.destroy(desired); // as if it had
    await world.converge(again, 'running');
    await world.booted(desired, 2);
  });

  test('a guest that ignored a request to stop is simply running when its time is over', async (world, t) => {
    const desired = await world.launched(t, world.stubbornInstance(t));
    // Longer than a busy machine takes for the call, which cuts the power of one whose time is over.
    assert.equal((await world.agent.applyInstance(stopped(desired, 2000))).state, 'stopping');
    await world.converge({ ...desired, generation: 3 }, 'running');
    assert.equal(await world.bootCount(desired), 1);
  });
}
