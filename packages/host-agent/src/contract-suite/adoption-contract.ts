// Domains of somebody else: told, taken over as they are, given back as they are. Nothing of it restarts a guest.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ForeignDomain } from '@virga/contract/agent/foreign';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';
import { eventually } from './eventually.ts';

export function adoptionContract(test: ContractTest): void {
  test('a domain of somebody else is told of, and an instance is not', async (world, t) => {
    const name = await foreignGuest(world, t);
    const desired = await world.launched(t);
    const found = await world.agent.listForeignDomains();
    assert.partialDeepStrictEqual(
      found.find((domain) => domain.name === name),
      { state: 'running', vcpus: 1, memoryMib: 16, persistent: true } satisfies Partial<ForeignDomain>,
    );
    assert.equal(
      found.some(({ uuid }) => uuid === desired.uuid),
      false,
    );
    await rejectsWith('Conflict', world.agent.inspectForeignDomain(world.cloudId, desired.domainName));
    await rejectsWith('NotFound', world.agent.inspectForeignDomain(world.cloudId, 'nobody-has-this-name'));
  });

  test('a running domain becomes an instance without its guest being touched, and is given back in the same way', async (world, t) => {
    const name = await foreignGuest(world, t);
    const life = await world.harness.lifeOf(name);
    const desired = await adoption(world, t, name);
    const observed = await world.agent.applyInstance(desired);
    assert.partialDeepStrictEqual(observed, { state: 'running', generation: 1, intact: true, adopted: true });
    assert.equal((await world.observed(desired))?.intact, true);
    assert.equal(
      (await world.agent.listForeignDomains()).some((domain) => domain.name === name),
      false,
    );
    await world.agent.applyInstance({ ...desired, generation: 2 });
    assert.equal((await world.observed(desired))?.generation, 2);
    await world.agent.releaseInstance(desired);
    await world.agent.releaseInstance(desired);
    assert.equal(await world.observed(desired), undefined);
    assert.equal((await world.agent.inspectForeignDomain(world.cloudId, name)).state, 'running');
    assert.equal(await world.harness.lifeOf(name), life);
  });

  test('the power of an adopted instance is that of any other', async (world, t) => {
    const name = await foreignGuest(world, t);
    const desired = await adoption(world, t, name);
    await world.agent.applyInstance(desired);
    assert.equal((await world.agent.applyInstance(stopped(desired, -1))).state, 'stopped');
    assert.equal((await world.agent.applyInstance({ ...desired, generation: 3 })).state, 'running');
  });

  test('deleting an adopted instance removes its definition', async (world, t) => {
    const name = await foreignGuest(world, t);
    const desired = await adoption(world, t, name);
    await world.agent.applyInstance(desired);
    await world.agent.deleteInstance(desired);
    assert.equal(await world.observed(desired), undefined);
    await rejectsWith('NotFound', world.agent.inspectForeignDomain(world.cloudId, name));
  });

  test('an adoption that was cut short is gone on with, and one that is given up leaves the domain as it was', async (world, t) => {
    const name = await foreignGuest(world, t);
    const life = await world.harness.lifeOf(name);
    const desired = await adoption(world, t, name);
    world.onStep(desired.id, (step) => {
      if (step === 'adopt') throw new Error('a step that fails');
    });
    await assert.rejects(world.agent.applyInstance(desired));
    assert.equal(await world.observed(desired), undefined);
    assert.equal((await world.agent.inspectForeignDomain(world.cloudId, name)).state, 'running');
    world.onStep(desired.id, () => {});
    await world.agent.applyInstance(desired);
    assert.equal(await world.harness.lifeOf(name), life);
  });

  test('a domain that is gone is no instance', async (world, t) => {
    const desired = { ...world.instance(t), origin: 'adopted' as const, nics: [] };
    await rejectsWith('HypervisorRefused', world.agent.applyInstance(desired));
    assert.equal(await world.observed(desired), undefined);
  });

  test('a launched instance that is given back runs on, and its image stays in use', async (world, t) => {
    const desired = await world.launched(t);
    const life = await world.harness.lifeOf(desired.domainName);
    await world.agent.releaseInstance(desired);
    t.after(() => world.harness.virsh.removeReleased(desired));
    assert.equal(await world.observed(desired), undefined);
    const [nic] = desired.nics;
    const found = await world.agent.inspectForeignDomain(world.cloudId, desired.uuid);
    assert.deepEqual(found.nics, [{ mac: nic?.mac, networkId: nic?.networkId, address: nic?.address }]);
    assert.equal(await world.harness.lifeOf(desired.domainName), life);
    await world.agent.deleteInstance(desired);
    assert.equal((await world.agent.inspectForeignDomain(world.cloudId, desired.uuid)).state, 'running');
    await rejectsWith('InUse', world.agent.deleteImage(world.politeImage));
    const again = { ...desired, ...(await adoption(world, t, desired.domainName)), nics: desired.nics };
    assert.equal((await world.agent.applyInstance(again)).intact, true);
    assert.equal(await world.harness.lifeOf(desired.domainName), life);
    await world.agent.releaseInstance(again);
  });
}

/** A running domain that somebody else has made. */
async function foreignGuest({ harness, agent, cloudId }: ContractWorld, t: TestContext): Promise<string> {
  const name = `foreign-${randomBytes(4).toString('hex')}`;
  await harness.virsh.defineForeign(name);
  t.after(async () => {
    const left = (await agent.listForeignDomains()).some((domain) => domain.name === name);
    if (left) await harness.virsh.undefineForeign(name);
  });
  await harness.virsh.startForeign(name);
  await eventually(`${name} runs`, async () => (await agent.inspectForeignDomain(cloudId, name)).state === 'running');
  return name;
}

/** What a control plane asks for to take it over. */
async function adoption(world: ContractWorld, t: TestContext, name: string): Promise<DesiredInstance> {
  const { uuid, vcpus, memoryMib, maxVcpus, maxMemoryMib } = await world.agent.inspectForeignDomain(
    world.cloudId,
    name,
  );
  const sizes = { vcpus, memoryMib, maxVcpus, maxMemoryMib };
  const rootDisk = { ...world.instance(t).rootDisk, imageId: null };
  return { ...world.instance(t), ...sizes, uuid, domainName: name, rootDisk, origin: 'adopted', nics: [] };
}
