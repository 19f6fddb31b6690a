import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ImageId, newId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { deleteInstance } from '../instances/instance-operations.ts';
import { deleteImage, getImage, listImages, registerImage } from './image-operations.ts';

let cloud: SimulatedCloud;
let folder: string;
let path: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-images-'));
  path = join(folder, 'disk.raw');
  await writeFile(path, Buffer.alloc(4096, 'x'));
  cloud = await SimulatedCloud.start({ hosts: [{}, {}], settings: { resyncPeriodMs: 400 } });
  await cloud.prepare();
});
after(async () => {
  await cloud.close();
  await rm(folder, { recursive: true });
});

const register = (name: string, change: Partial<Parameters<typeof registerImage>[2]> = {}) =>
  registerImage(cloud.deps, cloud.administrator, { name, path, format: 'raw', ...change });
const remove = (id: ImageId) => deleteImage(cloud.deps, cloud.operator, id);
const isOn = async (id: ImageId, host: number) =>
  (await cloud.host(host).listImages(cloud.deps.cloudId)).some((image) => image.id === id);

test('an image is copied to every host, can be seen, and is removed from every host', async () => {
  const { image, operationId } = await register('plain', { defaultUser: 'ada', minimumMemoryMib: 64 });
  assert.equal(image.state, 'pending');
  await cloud.succeeded(operationId);
  const available = await getImage(cloud.deps.db, cloud.operator, image.id);
  assert.equal(available.state, 'available');
  assert.equal(available.fileSizeBytes, 4096);
  assert.match(available.sha256 ?? '', /^[0-9a-f]{64}$/);
  assert.deepEqual([available.defaultUser, available.minimumMemoryMib], ['ada', 64]);
  for (const host of [0, 1]) assert.ok(await isOn(image.id, host));
  await cloud.succeeded((await remove(image.id)).operationId);
  for (const host of [0, 1]) assert.ok(!(await isOn(image.id, host)));
  await assert.rejects(getImage(cloud.deps.db, cloud.operator, image.id), { code: 'NotFound' });
});

test('a file that cannot be used fails the operation and leaves nothing', async () => {
  for (const [change, code] of [
    [{ path: join(folder, 'none.raw') }, 'NotFound'],
    [{ format: 'qcow2' as const }, 'ImageUnusable'],
  ] as const) {
    const { image, operationId } = await register('bad', change);
    assert.equal((await cloud.failed(operationId)).code, code);
    assert.deepEqual((await listImages(cloud.deps.db, cloud.operator, { name: 'bad' })).items, []);
    for (const host of [0, 1]) assert.ok(!(await isOn(image.id, host)));
  }
});

test('an image that one host cannot take is taken from the others again', async () => {
  cloud.host(1).failNext('importImage', 'StorageFull');
  const { image, operationId } = await register('half');
  assert.equal((await cloud.failed(operationId)).code, 'StorageFull');
  for (const host of [0, 1]) assert.ok(!(await isOn(image.id, host)));
});

test('an image that instances are cloned from is not deleted, and the refusal counts them', async () => {
  const { id } = await cloud.launch('web');
  const { items } = await listImages(cloud.deps.db, cloud.operator, { name: 'disk' });
  await assert.rejects(remove(items[0]!.id), { code: 'InUse', detail: /1 instance cloned/ } as object);
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
});

test('a disc is registered as what it is, and what is no disc is refused', async () => {
  await cloud.registerDisc('tools');
  const [disc] = (await listImages(cloud.deps.db, cloud.operator, { name: 'tools' })).items;
  assert.deepEqual([disc?.kind, disc?.format, disc?.state], ['iso', 'raw', 'available']);
  await assert.rejects(register('cow', { kind: 'iso', format: 'qcow2' }), {
    code: 'InvalidArgument',
    field: '/format',
  });
  const { operationId } = await register('disk-as-disc', { kind: 'iso' });
  const { code, detail } = await cloud.failed(operationId);
  assert.deepEqual([code, /ISO 9660/.test(detail)], ['ImageUnusable', true]);
  await cloud.succeeded((await remove(disc!.id)).operationId);
});

test('a name is taken once', async () => {
  await assert.rejects(register('disk'), { code: 'NameTaken', field: '/name' });
});

test('other projects see public images only, and delete none', async () => {
  const { image, operationId } = await register('open', { visibility: 'public' });
  await cloud.succeeded(operationId);
  const other = { ...cloud.operator, projectId: newId('project') };
  const names = (await listImages(cloud.deps.db, other, {})).items.map(({ name }) => name);
  assert.deepEqual(names, ['open']);
  await assert.rejects(deleteImage(cloud.deps, other, image.id), { code: 'NotFound' });
  await cloud.succeeded((await remove(image.id)).operationId);
});

test('a delete waits for a host that is away', async () => {
  const { image, operationId } = await register('remote');
  await cloud.succeeded(operationId);
  cloud.host(1).goUnreachable();
  const deletion = await remove(image.id);
  assert.equal((await remove(image.id)).operationId, deletion.operationId, 'asked twice, done once');
  await until('it says what it waits for', async () => {
    const row = await cloud.deps.db
      .selectFrom('operations')
      .select('message')
      .where('id', '=', deletion.operationId)
      .executeTakeFirstOrThrow();
    return /waiting/.test(row.message);
  });
  cloud.host(1).comeBack();
  await cloud.succeeded(deletion.operationId);
});

test('an image of this cloud that no row owns is removed, and another cloud’s is not', async () => {
  const orphan = newId('image');
  const theirs = newId('image');
  const image = { generation: 1, source: { kind: 'file' as const, path }, format: 'raw' as const };
  await cloud.host().importImage({ ...image, id: theirs, cloudId: 'another-cloud' });
  await cloud.host().importImage({ ...image, id: orphan, cloudId: cloud.deps.cloudId });
  await until('the orphan is gone', async () => !(await isOn(orphan, 0)));
  assert.equal((await cloud.host().listImages('another-cloud'))[0]?.id, theirs);
});
