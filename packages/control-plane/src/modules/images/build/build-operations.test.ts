import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ImageRecipe } from '@virga/contract/agent/image-recipe';
import type { ImageId } from '@virga/contract/ids';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { createImageOf, lintInstance } from '../../instances/image-of-instance.ts';
import { getInstance, launchInstance, stopInstance } from '../../instances/instance-operations.ts';
import { deleteImage, getImage, listImages } from '../image-operations.ts';
import { buildImage, getImageBuild, lintImage, sealImage } from './build-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start();
  await cloud.prepare();
});
after(() => cloud.close());

const recipe: ImageRecipe = {
  base: { distribution: 'debian', suite: 'bookworm' },
  packages: ['vim'],
  sizeMib: 1024,
  defaultUser: 'ada',
  minimumMemoryMib: 256,
};
const build = (name: string, change: Partial<ImageRecipe> = {}) =>
  buildImage(cloud.deps, cloud.administrator, { name, recipe: { ...recipe, ...change } });
const isOn = async (id: ImageId) =>
  (await cloud.host().listImages(cloud.deps.cloudId)).some((image) => image.id === id);
const named = async (name: string) => (await listImages(cloud.deps.db, cloud.operator, { name })).items;

test('an image is built, with a record of what is in it, and can be launched from', async () => {
  const { image, operationId } = await build('built');
  assert.equal(image.state, 'pending');
  await cloud.succeeded(operationId);
  const available = await getImage(cloud.deps.db, cloud.operator, image.id);
  assert.equal(available.state, 'available');
  assert.deepEqual([available.defaultUser, available.minimumMemoryMib, available.format], ['ada', 256, 'qcow2']);
  assert.equal(available.virtualSizeBytes, 1024 ** 3);
  assert.equal(await isOn(image.id), true);
  const made = await getImageBuild(cloud.deps.db, cloud.operator, image.id);
  assert.equal(made.from.kind, 'recipe');
  assert.ok(made.record?.packages.some(({ name }) => name === 'vim'));
  assert.ok(
    made.record?.packages.some(({ name }) => name === 'cloud-init'),
    'what boots has cloud-init',
  );
  const { fileSystem } = await lintImage(cloud.deps, cloud.operator, image.id);
  assert.equal(fileSystem, 'ext4');
  await cloud.succeeded((await deleteImage(cloud.deps, cloud.operator, image.id)).operationId);
  assert.equal(await isOn(image.id), false);
});

test('what a recipe may not say is refused before anything is there, with its field', async () => {
  for (const [change, field] of [
    [{ sizeMib: 100 }, '/recipe/sizeMib'],
    [{ base: { ...recipe.base, variant: 'extract' as const } }, '/recipe/boot'],
    [{ files: [{ path: '/etc/../a', content: '' }] }, '/recipe/files/0/path'],
    [
      {
        files: [
          { path: '/a', content: '' },
          { path: '/a', content: '' },
        ],
      },
      '/recipe/files/1/path',
    ],
  ] as const) {
    await assert.rejects(build('refused', change as Partial<ImageRecipe>), { code: 'InvalidArgument', field });
  }
  const elsewhere = { name: 'refused', recipe, host: 'nowhere' };
  await assert.rejects(buildImage(cloud.deps, cloud.administrator, elsewhere), { code: 'NotFound', field: '/host' });
  await assert.rejects(build('disk'), { code: 'NameTaken' });
  assert.deepEqual(await named('refused'), []);
});

test('a build that fails leaves no row and no file', async () => {
  cloud.host().failNext('install-packages', 'OperationFailed');
  const { image, operationId } = await build('failing');
  assert.equal((await cloud.failed(operationId)).code, 'OperationFailed');
  assert.deepEqual(await named('failing'), []);
  assert.equal(await isOn(image.id), false);
});

test('an image is made of an instance that is off, with the user and the memory of its own image', async () => {
  const { image: base, operationId: built } = await build('base', { minimumMemoryMib: 32 });
  await cloud.succeeded(built);
  const launch = { ...launchOf('web'), image: 'base' };
  const launched = await launchInstance(cloud.deps, cloud.operator, launch);
  await cloud.succeeded(launched.operationId);
  const { id } = launched.instance;
  const create = (name: string) => createImageOf(cloud.deps, cloud.operator, id, { name });
  await assert.rejects(create('golden'), { code: 'Conflict', action: /virga stop web --wait/ } as object);
  await assert.rejects(lintInstance(cloud.deps, cloud.operator, id), { code: 'Conflict' });
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id)).operationId);
  await until('web is off', async () => (await getInstance(cloud.deps.db, cloud.operator, id)).state === 'stopped');
  const { image, operationId } = await create('golden');
  await cloud.succeeded(operationId);
  const golden = await getImage(cloud.deps.db, cloud.operator, image.id);
  assert.deepEqual([golden.state, golden.defaultUser, golden.minimumMemoryMib], ['available', 'ada', 32]);
  assert.equal((await lintInstance(cloud.deps, cloud.operator, id)).findings[0]?.id, 'readable');
  assert.equal((await getImageBuild(cloud.deps.db, cloud.operator, image.id)).from.kind, 'instance');
  assert.ok(base.id !== golden.id);
});

test('a copy that cannot be sealed fails, and leaves nothing; an image that was brought in was not made here', async () => {
  const [disk] = await named('disk');
  const { operationId } = await sealImage(cloud.deps, cloud.operator, disk!.id, { name: 'sealed' });
  assert.equal((await cloud.failed(operationId)).code, 'ImageUnusable');
  assert.deepEqual(await named('sealed'), []);
  await assert.rejects(getImageBuild(cloud.deps.db, cloud.operator, disk!.id), { code: 'NotFound' });
});

for (const point of ['make-image-folder', 'install-packages', 'name-image', 'after buildImage']) {
  test(`a server that is killed at ${point} of a build goes on with it, and makes one image`, async () => {
    const name = `killed-at-${point.replaceAll(' ', '-').toLowerCase()}`;
    const { image, operationId } = await cloud.killedAt(point, () => build(name));
    await cloud.succeeded(operationId);
    assert.equal((await getImage(cloud.deps.db, cloud.operator, image.id)).state, 'available');
    const there = await cloud.host().listImages(cloud.deps.cloudId);
    assert.equal(there.filter(({ id }) => id === image.id).length, 1);
    assert.ok((await getImageBuild(cloud.deps.db, cloud.operator, image.id)).record?.packages.length);
    await cloud.succeeded((await deleteImage(cloud.deps, cloud.operator, image.id)).operationId);
  });
}
