// Removing instances: everything of one's own, nothing of others.
import assert from 'node:assert/strict';
import type { InstanceIdentity } from '@virga/contract/agent/desired';
import { newId } from '@virga/contract/ids';
import type { ContractTest } from './contract-test.ts';
import { stopped } from './contract-world.ts';

export function deleteContract(test: ContractTest): void {
  test('removes a running instance: guest, domain, files, log and lease', async (world, t) => {
    const desired = await world.launched(t);
    const { id, cloudId, uuid, domainName, nics } = desired;
    const identity: InstanceIdentity = { id, cloudId, uuid, domainName, nics };
    await world.agent.deleteInstance(identity);
    assert.equal(await world.observed(desired), undefined);
    assert.equal(await world.leasedAddress(desired), undefined);
    assert.equal((await world.agent.consoleLog(id, 100)).bytes.length, 0);
    await world.agent.deleteInstance(identity);
  });

  test('removes a stopped instance', async (world, t) => {
    const desired = world.instance(t);
    await world.agent.applyInstance(stopped(desired));
    await world.agent.deleteInstance(desired);
    assert.equal(await world.observed(desired), undefined);
  });

  test('nothing there is success', async (world, t) => {
    const { cloudId, uuid, domainName, nics } = world.instance(t);
    await world.agent.deleteInstance({ id: newId('instance'), cloudId, uuid, domainName, nics });
  });

  test('removes files whose domain somebody has undefined', async (world, t) => {
    const desired = await world.launched(t);
    await world.harness.virsh.undefine(desired);
    await world.harness.virsh.destroy(desired);
    assert.deepEqual((await world.observed(desired))?.leftovers, true);
    await world.agent.deleteInstance(desired);
    assert.equal(await world.observed(desired), undefined);
    assert.equal(await world.leasedAddress(desired), undefined);
  });

  test('leaves alone what belongs to another cloud', async (world, t) => {
    const desired = await world.launched(t);
    await world.agent.deleteInstance({ ...desired, cloudId: 'another' });
    const observed = await world.observed(desired);
    assert.deepEqual([observed?.state, observed?.intact], ['running', true]);
    assert.deepEqual(await world.agent.listInstances('another'), []);
  });
}
