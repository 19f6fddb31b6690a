import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { VirgaError } from '@virga/contract/errors';
import type { ImageId, InstanceId } from '@virga/contract/ids';
import type { LaunchInstance } from '@virga/contract/rest/instances';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { deleteImage } from '../images/image-operations.ts';
import { deleteInstance, getInstance, launchInstance, listInstances } from '../instances/instance-operations.ts';
import { coolImage, listWarmImages, warmImage } from './template-operations.ts';

let cloud: SimulatedCloud;
let imageId: ImageId;

before(async () => {
  cloud = await SimulatedCloud.start({ settings: { resyncPeriodMs: 200, reconcilePeriodMs: 200 } });
  await cloud.prepare();
  const image = await cloud.deps.db
    .updateTable('images')
    .set({ warmable: true })
    .returning('id')
    .executeTakeFirstOrThrow();
  imageId = image.id;
});
after(() => cloud.close());
afterEach(async () => {
  for (const { id } of (await listInstances(cloud.deps.db, cloud.operator, {})).items) await remove(id);
  await coolImage(cloud.deps, cloud.administrator, imageId, {});
  await until('nothing is kept', async () => (await kept()).length === 0);
  assert.deepEqual(await cloud.host().listTemplates(cloud.deps.cloudId), []);
  assert.deepEqual(await cloud.host().listShells(cloud.deps.cloudId), []);
  await cloud.assertNothingLeft();
});

const kept = async () => (await listWarmImages(cloud.deps.db, cloud.administrator)).items;
const warm = async (pool: number) => {
  await warmImage(cloud.deps, cloud.administrator, imageId, { type: 'tiny', pool });
  await until('the copies wait', async () => {
    const [first] = (await kept()).filter(({ state }) => state !== 'dropped');
    return first?.state === 'ready' && first.waiting === pool;
  });
};
const launch = async (name: string, change: Partial<LaunchInstance> = {}) => {
  const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, { ...launchOf(name), ...change });
  await cloud.succeeded(operationId);
  return getInstance(cloud.deps.db, cloud.operator, instance.id);
};
const remove = async (id: InstanceId) =>
  cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
const refused = (code: string, field?: string) => (error: unknown) =>
  error instanceof VirgaError && error.code === code && error.field === field;

test('launches begin as copies as long as one waits or can be made, and the pool fills up again', async () => {
  assert.equal((await launch('before')).launchPath, 'cold');
  await warm(2);
  const waiting = (await cloud.host().listShells(cloud.deps.cloudId)).map(({ id }) => id);
  const first = await launch('first');
  assert.equal(first.launchPath, 'warm');
  assert.ok(waiting.includes(first.id), 'the launch did not take a copy that waited');
  await until('another copy waits', async () => (await kept())[0]?.waiting === 2);
  await warm(0);
  assert.equal((await launch('made-for-it')).launchPath, 'warm');
  assert.equal((await launch('never', { warm: 'never' })).launchPath, 'cold');
});

test('no two of many launches at once get the same copy', async () => {
  await warm(3);
  const launched = await Promise.all(Array.from({ length: 8 }, (_, index) => launch(`many-${index}`)));
  assert.deepEqual(new Set(launched.map(({ launchPath }) => launchPath)), new Set(['warm']));
  assert.equal(new Set(launched.map(({ id }) => id)).size, 8);
});

test('what a template does not have begins cold, and is refused when it must not', async () => {
  await warm(1);
  assert.equal((await launch('watched', { watchdog: 'reset' })).launchPath, 'cold');
  assert.equal((await launch('larger', { diskGib: 9 })).launchPath, 'cold');
  const always = { ...launchOf('always'), warm: 'always', tpm: true } as const;
  await assert.rejects(launchInstance(cloud.deps, cloud.operator, always), refused('Conflict', '/warm'));
  assert.equal((await launch('plain', { warm: 'always' })).launchPath, 'warm');
});

test('a copy that fails on its host begins cold, and says so', async () => {
  await warm(1);
  const error = new VirgaError('HypervisorRefused', { detail: 'A test fails this step.', action: 'Nothing.' });
  cloud.host().failNext('warm-take', error);
  assert.equal((await launch('unlucky')).launchPath, 'cold');
});

test('copies that are lost are prepared again, and those that nobody owns are removed', async () => {
  await warm(1);
  const { cloudId } = cloud.deps;
  const [shell] = await cloud.host().listShells(cloudId);
  await cloud.host().deleteShell(shell!);
  await until('the copy waits again', async () => (await cloud.host().listShells(cloudId))[0]?.id === shell!.id);
  const stranger = { ...shell!, id: 'i-0123456789abcdef0' as const };
  await cloud.host().applyShell(stranger);
  await until('the stranger is gone', async () => (await cloud.host().listShells(cloudId)).length === 1);
});

test('an image whose guests cannot be copied is not kept warm, and one that is kept is not deleted', async () => {
  const { db } = cloud.deps;
  await db.updateTable('images').set({ warmable: false }).execute();
  await assert.rejects(warmImage(cloud.deps, cloud.administrator, imageId, {}), refused('Conflict'));
  await db.updateTable('images').set({ warmable: true }).execute();
  await assert.rejects(
    warmImage(cloud.deps, cloud.administrator, imageId, { type: 'none' }),
    refused('NotFound', '/type'),
  );
  await warm(0);
  await assert.rejects(deleteImage(cloud.deps, cloud.operator, imageId), refused('InUse'));
});

test('a template outlives its end for as long as disks rest on it', async () => {
  await warm(0);
  const copy = await launch('copy');
  await coolImage(cloud.deps, cloud.administrator, imageId, {});
  await until(
    'it is dropped',
    async () => (await cloud.host().listTemplates(cloud.deps.cloudId))[0]?.state === 'stale',
  );
  assert.deepEqual(
    (await kept()).map(({ state }) => state),
    ['dropped'],
  );
  assert.equal((await launch('cold-again')).launchPath, 'cold');
  await remove(copy.id);
  await until('it is gone', async () => (await kept()).length === 0);
});

for (const point of ['template-start', 'template-name', 'shell-start', 'after applyTemplate', 'after applyShell']) {
  test(`the server is killed at ${point} while a guest is made ready to be copied`, async () => {
    const reached = cloud.freezeAt(point);
    await warmImage(cloud.deps, cloud.administrator, imageId, { type: 'tiny', pool: 2 });
    await reached;
    await cloud.kill();
    await cloud.startAgain();
    await until('the copies wait', async () => (await kept())[0]?.waiting === 2);
    assert.equal((await cloud.host().listTemplates(cloud.deps.cloudId)).length, 1);
    assert.equal((await launch('after')).launchPath, 'warm');
  });
}

for (const point of ['warm-take', 'define', 'start', 'lease', 'after applyInstance']) {
  test(`the server is killed at ${point} of a launch that begins as a copy`, async () => {
    await warm(1);
    const reached = cloud.freezeAt(point);
    const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, launchOf('killed'));
    await reached;
    await cloud.kill();
    await cloud.startAgain();
    await cloud.succeeded(operationId);
    assert.equal((await cloud.instance(instance.id)).launchPath, 'warm');
    assert.equal(cloud.host().bootCount(instance.id), 1);
    await until('another copy waits', async () => (await kept())[0]?.waiting === 1);
    const domains = await cloud.host().listInstances(cloud.deps.cloudId);
    assert.deepEqual(
      domains.map(({ id, state }) => [id, state]),
      [[instance.id, 'running']],
    );
  });
}
