// Rebooting, each way, once for each request; and a power cycle, which also brings what a running guest cannot be given.
import assert from 'node:assert/strict';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { isInstance, stopped } from './contract-world.ts';

export function rebootContract(test: ContractTest): void {
  for (const how of ['reset', 'acpi'] as const) {
    test(`reboots once for each request, ${how === 'reset' ? 'by reset' : 'by the power button'}`, async (world, t) => {
      const desired = await world.launched(t);
      const first = { ...desired, generation: 2, reboot: { token: 'first', how } };
      assert.equal((await world.agent.applyInstance(first)).state, 'running');
      await world.booted(desired, 2);
      await world.agent.applyInstance(first);
      await world.agent.applyInstance({ ...first, generation: 3 });
      const restarted = await world.harness.reopen();
      t.after(() => restarted.close());
      await restarted.applyInstance({ ...first, generation: 4 });
      const second = { ...first, generation: 5, reboot: { token: 'second', how: 'reset' as const } };
      await world.agent.applyInstance(second);
      await world.booted(desired, 3);
    });
  }

  test('an instance that is started is not rebooted for a request from before', async (world, t) => {
    const desired = await world.launched(t);
    const reboot = { token: 'before', how: 'reset' as const };
    await world.converge({ ...stopped(desired, -1), reboot }, 'stopped');
    const started = { ...desired, generation: 3, reboot };
    await world.agent.applyInstance(started);
    await world.booted(desired, 2);
    await world.agent.applyInstance(started);
    await world.agent.applyInstance({ ...started, generation: 4, reboot: { token: 'after', how: 'reset' as const } });
    await world.booted(desired, 3);
  });

  test('a reboot by the guest agent needs one that answers, and is not tried again', async (world, t) => {
    const desired = await world.launched(t);
    world.harness.muteGuestAgent?.(desired);
    const byAgent = { ...desired, generation: 2, reboot: { token: 'agent', how: 'agent' as const } };
    await rejectsWith('GuestUnavailable', world.agent.applyInstance(byAgent));
    const observed = await world.agent.applyInstance({ ...byAgent, generation: 3, reboot: null });
    assert.equal(observed.state, 'running');
    assert.equal(await world.bootCount(desired), 1);
  });

  test('a power cycle lets the guest shut down, and starts it again from a fresh definition, once', async (world, t) => {
    const desired = await world.launched(t);
    const events = await world.watch(t);
    const cycled = { ...cycle(desired), name: 'anew' };
    await world.converge(cycled, 'running');
    await events.next('the shutdown', isInstance(desired.id, { state: 'stopped', reason: 'guest-shutdown' }));
    await world.booted(desired, 2);
    assert.match(await world.agent.domainXml(desired.id), /<title>anew</);
    await world.agent.applyInstance(cycled);
    await world.agent.applyInstance({ ...cycled, generation: 3 });
    const restarted = await world.harness.reopen();
    t.after(() => restarted.close());
    assert.equal((await restarted.applyInstance({ ...cycled, generation: 4 })).state, 'running');
    assert.equal(await world.bootCount(desired), 2);
  });

  test('a power cycle is waited for like a shutdown, and cuts off a guest whose time is over', async (world, t) => {
    const desired = await world.launched(t, world.stubbornInstance(t));
    const cycled = cycle(desired);
    for (let call = 0; call < 2; call++) assert.equal((await world.agent.applyInstance(cycled)).state, 'stopping');
    assert.equal(await world.bootCount(desired), 1);
    const over = { ...cycled, generation: 3, reboot: { ...cycled.reboot!, forceAt: new Date().toISOString() } };
    assert.equal((await world.agent.applyInstance(over)).state, 'running');
    await world.booted(desired, 2);
    await world.agent.applyInstance(over);
    assert.equal(await world.bootCount(desired), 2);
  });

  test('a power cycle goes on in another process of the agent', async (world, t) => {
    const desired = await world.launched(t, world.stubbornInstance(t));
    const cycled = cycle(desired);
    assert.equal((await world.agent.applyInstance(cycled)).state, 'stopping');
    const restarted = await world.harness.reopen();
    t.after(() => restarted.close());
    assert.equal((await restarted.applyInstance(cycled)).state, 'stopping');
    await world.harness.virsh.destroy(desired); // as if it had shut down
    assert.equal((await restarted.applyInstance(cycled)).state, 'running');
    await world.booted(desired, 2);
  });

  test('a power cycle of a guest that is off is its start', async (world, t) => {
    const desired = await world.launched(t);
    await world.converge(stopped(desired, -1), 'stopped');
    const cycled = { ...cycle(desired), generation: 3 };
    assert.equal((await world.agent.applyInstance(cycled)).state, 'running');
    await world.booted(desired, 2);
    await world.agent.applyInstance(cycled);
    assert.equal(await world.bootCount(desired), 2);
  });

  test('a power cycle of a paused guest lets it go on, so that it can shut down', async (world, t) => {
    const desired = await world.launched(t);
    const paused = { ...desired, generation: 2, power: { state: 'paused' as const } };
    assert.equal((await world.agent.applyInstance(paused)).state, 'paused');
    await world.converge({ ...cycle(desired), generation: 3 }, 'running');
    await world.booted(desired, 2);
  });
}

const cycle = (desired: DesiredInstance): DesiredInstance => ({
  ...desired,
  generation: desired.generation + 1,
  reboot: { token: 'cycle', how: 'cycle', forceAt: new Date(Date.now() + 60_000).toISOString() },
});
