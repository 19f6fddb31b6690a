// What an instance is called and what it is for, as anybody who looks at the domain sees it.
import assert from 'node:assert/strict';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { ContractTest } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';

export function labelContract(test: ContractTest): void {
  test('title and description are those of the instance, at once while it runs and after the next start', async (world, t) => {
    const desired = await world.launched(t, world.instance(t, { description: 'Serves <the> shop & more' }));
    await assertLabels(world, desired);
    const renamed = { ...desired, generation: 2, name: 'shop', description: 'First line\nsecond line' };
    await world.agent.applyInstance(renamed);
    await assertLabels(world, renamed);
    assert.equal(await world.bootCount(desired), 1, 'nothing was interrupted');
    await world.converge({ ...stopped(renamed, -1), generation: 3 }, 'stopped');
    const plain = { ...renamed, generation: 4, description: '' };
    await world.agent.applyInstance(plain);
    await assertLabels(world, plain);
  });

  test('labels that were being written when it was killed are written by the next call', async (world, t) => {
    const desired = await world.launched(t);
    const renamed = { ...desired, generation: 2, name: 'shop', description: 'Serves the shop' };
    world.onStep(desired.id, (step) => {
      if (step === 'metadata') throw new Error('killed');
    });
    await assert.rejects(world.agent.applyInstance(renamed));
    world.onStep(desired.id, () => {});
    assert.equal((await world.agent.applyInstance(renamed)).generation, 2);
    await assertLabels(world, renamed);
  });
}

async function assertLabels(world: ContractWorld, { id, name, description }: DesiredInstance): Promise<void> {
  const xml = await world.agent.domainXml(id);
  const read = (tag: string) => unescapeXml(new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(xml)?.[1] ?? '');
  assert.deepEqual([read('title'), read('description')], [name, description]);
}

const entities: Record<string, string> = { lt: '<', gt: '>', amp: '&', apos: "'", quot: '"', 10: '\n' };
const unescapeXml = (text: string) => text.replace(/&#?(\w+);/g, (_, entity: string) => entities[entity] ?? '');
