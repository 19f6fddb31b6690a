// Changes that others make, with virsh or from inside the guest: seen within two seconds, told as what they are, and
// repaired by the next call where the desired state says so.
import assert from 'node:assert/strict';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ObservedInstance } from '@virga/contract/agent/observed';
import type { ContractTest } from './contract-test.ts';
import { type Events, isInstance, stopped } from './contract-world.ts';

const soonMs = 2_000;

export function outsideContract(test: ContractTest): void {
  test('virsh destroy is seen as that, and the guest is started again', async (world, t) => {
    const desired = await world.launched(t);
    const events = await world.watch(t);
    await isToldSoon(events, desired, { state: 'stopped', reason: 'destroyed' }, () =>
      world.harness.virsh.destroy(desired),
    );
    assert.equal((await world.agent.applyInstance(desired)).state, 'running');
    await world.booted(desired, 2);
  });

  test('a guest that shuts itself down is seen as that', async (world, t) => {
    const desired = await world.launched(t);
    const events = await world.watch(t);
    const expected = { state: 'stopped', reason: 'guest-shutdown' } as const;
    await isToldSoon(events, desired, expected, () => world.harness.virsh.shutdown(desired));
  });

  test('a guest whose process dies is seen as crashed', async (world, t) => {
    const desired = await world.launched(t);
    const events = await world.watch(t);
    await isToldSoon(events, desired, { state: 'stopped', reason: 'crashed' }, () => world.harness.crash(desired));
    assert.equal((await world.agent.applyInstance(desired)).state, 'running');
  });

  test('virsh start of a stopped instance is seen', async (world, t) => {
    const desired = stopped(world.instance(t));
    await world.agent.applyInstance(desired);
    const events = await world.watch(t);
    await isToldSoon(events, desired, { state: 'running', reason: 'booted' }, () => world.harness.virsh.start(desired));
  });

  test('virsh undefine of a running instance is seen, and defined again without interrupting it', async (world, t) => {
    const desired = await world.launched(t);
    const events = await world.watch(t);
    await isToldSoon(events, desired, { state: 'running', intact: false }, () => world.harness.virsh.undefine(desired));
    const observed = await world.agent.applyInstance(desired);
    assert.deepEqual([observed.state, observed.intact, observed.generation], ['running', true, 1]);
    assert.equal(observed.redefined, true);
    await world.converge(stopped(desired), 'stopped');
    assert.equal(await world.bootCount(desired), 1);
  });

  test('virsh undefine of a stopped instance leaves its files, and it comes back with them', async (world, t) => {
    const desired = await world.launched(t);
    const off = stopped(desired, -1);
    await world.converge(off, 'stopped');
    const events = await world.watch(t);
    const expected = { state: 'absent', leftovers: true, generation: 0 } as const;
    await isToldSoon(events, desired, expected, () => world.harness.virsh.undefine(desired));
    assert.equal((await world.observed(desired))?.leftovers, true);
    const observed = await world.agent.applyInstance(off);
    assert.deepEqual([observed.state, observed.intact, observed.leftovers], ['stopped', true, false]);
    assert.equal(observed.redefined, true);
    assert.equal((await world.agent.applyInstance(off)).redefined, undefined);
    assert.equal(await world.bootCount(desired), 1, 'what it had printed is still there');
  });

  test('virsh suspend and resume are seen', async (world, t) => {
    const desired = await world.launched(t);
    const events = await world.watch(t);
    await isToldSoon(events, desired, { state: 'paused', reason: 'suspended' }, () =>
      world.harness.virsh.suspend(desired),
    );
    await isToldSoon(events, desired, { state: 'running' }, () => world.harness.virsh.resume(desired));
    assert.equal(await world.bootCount(desired), 1);
  });

  test('a missing seed is seen, and made again', async (world, t) => {
    const desired = await world.launched(t);
    await world.harness.removeSeed(desired);
    assert.equal((await world.observed(desired))?.intact, false);
    assert.equal((await world.agent.applyInstance(desired)).intact, true);
    assert.equal((await world.observed(desired))?.intact, true);
    assert.equal(await world.bootCount(desired), 1);
  });
}

async function isToldSoon(
  events: Events,
  { id }: DesiredInstance,
  expected: Partial<ObservedInstance>,
  act: () => Promise<void>,
): Promise<void> {
  const from = events.seen.length;
  await act();
  const done = performance.now();
  await events.next(JSON.stringify(expected), isInstance(id, expected), from);
  const tookMs = performance.now() - done;
  assert.ok(tookMs <= soonMs, `told after ${Math.round(tookMs)} ms`);
}
