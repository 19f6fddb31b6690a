// Facts about the host, and a host that does not answer.
import assert from 'node:assert/strict';
import { conforms } from '@virga/contract/agent/conforms';
import { HostFacts } from '@virga/contract/agent/host-facts';
import { type ContractTest, rejectsWith } from './contract-test.ts';

export function hostContract(test: ContractTest): void {
  test('tells what the host is, what it has, and why it runs guests as it does', async ({ agent }) => {
    const facts = await agent.facts();
    assert.ok(conforms(HostFacts, facts), JSON.stringify(facts));
    assert.ok(facts.cpuThreads >= 1 && facts.memoryMib >= 1);
    assert.ok(facts.storageFreeBytes > 0 && facts.storageFreeBytes <= facts.storageTotalBytes);
    assert.match(facts.acceleration.reason, /\w+ \w+/);
    assert.match(facts.hypervisorVersion, /^\d+\.\d+/);
    assert.match(facts.libvirtVersion, /^\d+\.\d+/);
  });

  test('keeps what it is given for a lost database, of each cloud by itself, and over a restart of the agent', async (world, t) => {
    const { agent, harness, cloudId } = world;
    const kept = async (host = agent, cloud = cloudId) =>
      (await host.inventory()).keepsakes.filter((one) => one.cloudId === cloud);
    await agent.keepHost(cloudId, { row: { floor: 1 } });
    const [first] = await kept();
    await agent.keepHost(cloudId, { row: { floor: 1 } });
    assert.deepEqual(await kept(), [first], 'the same again changes nothing, not even since when');
    await agent.keepHost(`${cloudId}-other`, { row: {} });
    await agent.keepHost(cloudId, { row: { floor: 2 }, tuning: null });
    const restarted = await harness.reopen();
    t.after(() => restarted.close());
    const [second, ...more] = await kept(restarted);
    assert.deepEqual([second?.keepsake, more], [{ row: { floor: 2 }, tuning: null }, []]);
    assert.ok(Date.parse(second!.keptAt) >= Date.parse(first!.keptAt));
    assert.deepEqual(
      (await kept(restarted, `${cloudId}-other`)).map(({ keepsake }) => keepsake),
      [{ row: {} }],
    );
  });

  test('says HostUnavailable while the hypervisor does not answer, and works again when it does', async (world, t) => {
    const { agent, harness, cloudId } = world;
    const desired = await world.launched(t);
    await harness.beginOutage();
    try {
      await rejectsWith('HostUnavailable', agent.facts());
      await rejectsWith('HostUnavailable', agent.listInstances(cloudId));
      await rejectsWith('HostUnavailable', agent.listNetworks(cloudId));
      await rejectsWith('HostUnavailable', agent.applyInstance(desired));
      await rejectsWith('HostUnavailable', agent.applyNetwork(world.network));
      await rejectsWith('HostUnavailable', agent.deleteInstance(desired));
      await rejectsWith('HostUnavailable', agent.domainXml(desired.id));
      await rejectsWith('HostUnavailable', agent.openConsole(desired.id));
    } finally {
      await harness.endOutage();
    }
    assert.equal((await agent.applyInstance(desired)).state, 'running');
    assert.equal(await world.bootCount(desired), 1, 'the guest went on meanwhile');
  });
}
