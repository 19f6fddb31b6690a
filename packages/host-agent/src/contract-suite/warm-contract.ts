// Instant launches, as far as a guest of a boot sector can show them: it has no agent, so it cannot be copied, and launches
// that would begin as a copy begin cold. What real copies are is shown with the starter image, in libvirt/warm.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';

export function warmContract(test: ContractTest): void {
  test('says NotFound, and makes nothing, for a template of an image that is not on the host', async (world) => {
    const { agent, cloudId } = world;
    const identity = { id: newId('template'), cloudId, uuid: randomUUID(), domainName: newId('template') };
    const template = { ...identity, imageId: newId('image'), vcpus: 1, memoryMib: 64, diskBytes: 1024 ** 2 };
    await rejectsWith('NotFound', agent.applyTemplate(template));
    assert.deepEqual(await agent.listTemplates(cloudId), []);
    await agent.deleteTemplate(template);
  });

  test('says NotFound, and makes nothing, for a shell of a template that is not on the host', async (world) => {
    const { agent, cloudId } = world;
    const shell = { id: newId('instance'), cloudId, uuid: randomUUID(), domainName: newId('instance') };
    await rejectsWith('NotFound', agent.applyShell({ ...shell, templateId: newId('template') }));
    assert.deepEqual(await agent.listShells(cloudId), []);
    await agent.deleteShell(shell);
    assert.equal(
      (await agent.listInstances(cloudId)).some(({ id }) => id === shell.id),
      false,
    );
  });

  test('begins an instance cold when there is nothing that it could be a copy of', async (world, t) => {
    const desired = { ...world.instance(t), warm: { templateId: newId('template') } };
    const observed = await world.agent.applyInstance(desired);
    assert.deepEqual([observed.state, observed.intact, observed.warm], ['running', true, undefined]);
    await world.booted(desired, 1);
    await world.agent.deleteShell(desired);
    assert.equal((await world.observed(desired))?.state, 'running', 'an instance was taken for a shell');
  });
}
