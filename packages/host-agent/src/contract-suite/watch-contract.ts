// The stream of events: everything first, then each change in order, through outages, until it is aborted.
import assert from 'node:assert/strict';

import type { AgentEvent } from '@virga/contract/agent/observed';
import type { ContractTest } from './contract-test.ts';
import { isInstance } from './contract-world.ts';
import { eventually } from './eventually.ts';

export function watchContract(test: ContractTest): void {
  test('begins with all there is', async (world, t) => {
    const desired = await world.launched(t);
    const { seen } = await world.watch(t);
    const [ready] = seen;
    assert.ok(ready?.type === 'ready', JSON.stringify(ready));
    assert.deepEqual(ready.instances, await world.agent.listInstances(world.cloudId));
    assert.deepEqual(ready.networks, await world.agent.listNetworks(world.cloudId));
    assert.ok(ready.instances.some(({ id }) => id === desired.id));
  });

  test('tells the life of an instance in order, to its end', async (world, t) => {
    const events = await world.watch(t);
    const desired = await world.launched(t);
    await events.next('running', isInstance(desired.id, { state: 'running' }));
    await world.agent.deleteInstance(desired);
    await events.next('absent', isInstance(desired.id, { state: 'absent' }));
    const states = events.seen.flatMap((event) =>
      event.type === 'instance' && event.instance.id === desired.id ? [event.instance.state] : [],
    );
    assert.ok(states.lastIndexOf('running') < states.indexOf('absent'), states.join());
  });

  test('tells that the hypervisor does not answer, with what to do, and all anew when it does', async (world, t) => {
    const desired = await world.launched(t);
    const events = await world.watch(t);
    const from = events.seen.length;
    await world.harness.beginOutage();
    try {
      const event = await events.next('the outage', ({ type }) => type === 'unreachable', from);
      assert.ok(event.type === 'unreachable' && /\S/.test(event.detail) && /\S/.test(event.action));
      await world.harness.virsh.destroy(desired);
    } finally {
      await world.harness.endOutage();
    }
    const event = await events.next('the end of the outage', ({ type }) => type === 'ready', from);
    assert.ok(event.type === 'ready');
    assert.equal(event.instances.find(({ id }) => id === desired.id)?.state, 'stopped');
    await world.harness.virsh.start(desired);
    await events.next('a change after that', isInstance(desired.id, { state: 'running' }), events.seen.indexOf(event));
  });

  test('tells nothing of other clouds', async (world, t) => {
    const stop = new AbortController();
    const seen: AgentEvent[] = [];
    const reading = (async () => {
      for await (const event of world.agent.watch('another', stop.signal)) seen.push(event);
    })();
    t.after(() => stop.abort());
    await eventually('the first event', () => seen[0]);
    const ours = await world.watch(t);
    const generation = (await world.observedNetwork())?.generation ?? 0;
    try {
      await world.harness.virsh.networkDestroy(world.network);
      await world.harness.virsh.networkUndefine(world.network);
      await ours.next('the end of a network', ({ type }) => type === 'network-changed');
    } finally {
      await world.agent.applyNetwork({ ...world.network, generation });
    }
    const desired = await world.launched(t);
    await ours.next('the launch', isInstance(desired.id, { state: 'running' }));
    stop.abort();
    await reading;
    const { bootId } = await world.agent.facts();
    assert.deepEqual(seen, [{ type: 'ready', bootId, instances: [], networks: [] }]);
  });

  test('ends when its signal aborts', async (world) => {
    const stop = new AbortController();
    for await (const event of world.agent.watch(world.cloudId, stop.signal)) {
      assert.equal(event.type, 'ready');
      stop.abort();
    }
    for await (const event of world.agent.watch(world.cloudId, stop.signal)) assert.fail(event.type);
  });
}
