// Images made of disks that are there, and looks into them. What recipes make is tested where packages are.
import assert from 'node:assert/strict';
import { conforms } from '@virga/contract/agent/conforms';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { BuiltImage, type ImageOrder, LintReport } from '@virga/contract/agent/image-building';
import { type ImageId, newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import { type ContractWorld, stopped } from './contract-world.ts';

const mib = 1024 * 1024;

export function buildingContract(test: ContractTest): void {
  test('makes an image of the disk of an instance that is off, which boots as that did', async (world, t) => {
    const sizeBytes = 8 * mib;
    const desired = world.instance(t);
    await world.launched(t, { ...desired, rootDisk: { ...desired.rootDisk, sizeBytes } });
    await world.converge({ ...stopped(desired), rootDisk: { ...desired.rootDisk, sizeBytes } }, 'stopped');
    const order = orderOf(world, desired);
    t.after(() => world.agent.deleteImage(order));
    const percents: number[] = [];
    const built = await world.agent.buildImage(order, { onProgress: (_, percent) => percents.push(percent) });
    assert.ok(conforms(BuiltImage, built), JSON.stringify(built));
    const { image } = built;
    assert.deepEqual([image.id, image.format, image.virtualSizeBytes], [order.id, 'qcow2', sizeBytes]);
    assert.deepEqual(image.keepsake, order.keepsake);
    assert.match(image.sha256, /^[0-9a-f]{64}$/);
    assert.ok(percents.every((percent, index) => percent <= 100 && percent >= (percents[index - 1] ?? 0)));
    assert.deepEqual(await find(world, order.id), image);
    assert.deepEqual(await world.agent.buildImage(order), built, 'what is there is returned');

    const copy = world.instance(t);
    await world.launched(t, { ...copy, rootDisk: { ...copy.rootDisk, imageId: order.id, sizeBytes } });
    await rejectsWith('InUse', world.agent.deleteImage(order));
    await world.agent.deleteInstance(copy);
  });

  test('makes none of an instance that runs, and does not look into it', async (world, t) => {
    const desired = await world.launched(t);
    const order = orderOf(world, desired);
    await rejectsWith('Conflict', world.agent.buildImage(order));
    await rejectsWith('Conflict', world.agent.lintImage(world.cloudId, { kind: 'instance', id: desired.id }));
    assert.equal(await find(world, order.id), undefined);
  });

  test('makes none of what is not there, or belongs to another cloud', async (world) => {
    const from = { kind: 'image' as const, imageId: newId('image') };
    const order = { id: newId('image'), cloudId: world.cloudId, from, seal: false };
    await rejectsWith('NotFound', world.agent.buildImage(order));
    const { id: imageId } = world.politeImage;
    await rejectsWith('NotFound', world.agent.buildImage({ ...order, cloudId: 'another', from: { ...from, imageId } }));
    await rejectsWith('NotFound', world.agent.lintImage('another', { kind: 'image', id: imageId }));
    await rejectsWith('NotFound', world.agent.lintImage(world.cloudId, { kind: 'instance', id: newId('instance') }));
    assert.equal(await find(world, order.id), undefined);
  });

  test('says of a disk without a file system that it cannot be looked into, and seals none', async (world) => {
    const { id: imageId } = world.politeImage;
    const report = await world.agent.lintImage(world.cloudId, { kind: 'image', id: imageId });
    assert.ok(conforms(LintReport, report), JSON.stringify(report));
    assert.equal(report.fileSystem, null);
    assert.deepEqual(
      report.findings.map(({ id, verdict }) => [id, verdict]),
      [['readable', 'failure']],
    );
    const from = { kind: 'image' as const, imageId };
    const order = { id: newId('image'), cloudId: world.cloudId, from, seal: true };
    await rejectsWith('ImageUnusable', world.agent.buildImage(order));
    assert.equal(await find(world, order.id), undefined);
  });

  test('an image whose making was interrupted can be made again', async (world, t) => {
    const from = { kind: 'image' as const, imageId: world.politeImage.id };
    const order = { id: newId('image'), cloudId: world.cloudId, from, seal: false };
    t.after(() => world.agent.deleteImage(order));
    const abort = new AbortController();
    world.onStep(order.id, (step) => {
      if (step === 'copy-disk') abort.abort(new Error('interrupted'));
    });
    await assert.rejects(world.agent.buildImage(order, { signal: abort.signal }));
    assert.equal(await find(world, order.id), undefined);
    world.onStep(order.id, () => undefined);
    assert.equal((await world.agent.buildImage(order)).image.id, order.id);
  });
}

const orderOf = ({ cloudId }: ContractWorld, { id }: Pick<DesiredInstance, 'id'>): ImageOrder => ({
  id: newId('image'),
  cloudId,
  from: { kind: 'instance', instanceId: id },
  seal: false,
  keepsake: { of: id },
});

async function find({ agent, cloudId }: ContractWorld, id: ImageId) {
  return (await agent.listImages(cloudId)).find((image) => image.id === id);
}
