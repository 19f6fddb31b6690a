// Images from elsewhere as projects bring them in: by address, from the catalog, in parts; who may share them, and who may not.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import type { VirgaError } from '@virga/contract/errors';
import { type ImageId, newId, type OperationId } from '@virga/contract/ids';
import type { ImportImage } from '@virga/contract/rest/image-import';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { launchInstance } from '../instances/launch-instance.ts';
import { createVolume } from '../volumes/create-volume.ts';
import { deleteVolume } from '../volumes/volume-operations.ts';
import { officialImages } from './catalog/official-images.ts';
import { deleteImage, getImage, listImages } from './image-operations.ts';
import { importImage, listCatalog, updateImage } from './import-operations.ts';
import { cancelImageImport, getImageUpload, sendImage, uploadImage } from './upload-operations.ts';

let cloud: SimulatedCloud;
let folder: string;
let aheadMs = 0;
const clock = { now: () => new Date(Date.now() + aheadMs) };
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'virga-imports-'));
  const imageCatalogPath = join(folder, 'catalog.yaml');
  const settings = { resyncPeriodMs: 300, imageCatalogPath, imageKeysPath: folder };
  cloud = await SimulatedCloud.start({ hosts: [{}, {}], settings, clock });
  await cloud.prepare();
});
after(async () => {
  await cloud.close();
  await rm(folder, { recursive: true });
});

const url = 'https://images.example/disk.raw';
const sha256Of = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const signal = new AbortController().signal;
const byAddress = (body: Partial<ImportImage> = {}) =>
  importImage(cloud.deps, cloud.operator, { name: 'web', source: { url }, ...body });
const get = (id: ImageId) => getImage(cloud.deps.db, cloud.operator, id);
const isGone = (id: ImageId) => assert.rejects(get(id), { code: 'NotFound' });
const remove = async (id: ImageId) => cloud.succeeded((await deleteImage(cloud.deps, cloud.operator, id)).operationId);
const disk = Buffer.alloc(4096, 'disk');
disk.writeUInt16LE(0xaa55, 510);
const send = (id: ImageId, offsetBytes: number, content: Buffer) =>
  sendImage(cloud.deps, cloud.operator, id, { offsetBytes, content: Readable.from([content]), signal });
const unfinished = async () =>
  (await Promise.all([0, 1].map((host) => cloud.host(host).listUnfinishedImages(cloud.deps.cloudId)))).flat();

test('an image is imported by its address on one host, and says where it came from', async () => {
  const { image, operationId } = await byAddress({ defaultUser: 'ada' });
  assert.deepEqual([image.state, image.format, image.visibility], ['pending', 'qcow2', 'private']);
  await cloud.succeeded(operationId);
  const { state, defaultUser, origin } = await get(image.id);
  assert.deepEqual([state, defaultUser, origin?.url], ['available', 'ada', url]);
  // What the web of a simulated host has at every address.
  assert.equal(origin?.verification?.sha256, sha256Of(Buffer.alloc(1024 ** 2, `${url}\n`)));
  const hosts = await Promise.all([0, 1].map((host) => cloud.host(host).listImages(cloud.deps.cloudId)));
  assert.equal(hosts.flat().filter(({ id }) => id === image.id).length, 1);
  await assert.rejects(byAddress(), { code: 'NameTaken' });
  await remove(image.id);
});

test('an instance elsewhere has its host fetch the image too, and only the same bytes will do', async () => {
  const { image, operationId } = await byAddress();
  await cloud.succeeded(operationId);
  const launched = await Promise.all(
    [1, 2, 3].map((index) =>
      launchInstance(cloud.deps, cloud.operator, { name: `i${index}`, image: 'web', type: 'tiny' }),
    ),
  );
  for (const { operationId: launch } of launched) await cloud.succeeded(launch);
  const { deleteInstance } = await import('../instances/instance-operations.ts');
  for (const { instance } of launched) {
    await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, instance.id)).operationId);
  }
  await remove(image.id);
});

test('what cannot be fetched or is something else fails the operation and leaves nothing', async () => {
  for (const [source, code] of [
    [{ url: 'https://nowhere.invalid/x' }, 'ImageSourceUnavailable'],
    [{ url: 'http://127.0.0.1:8470/v1/health' }, 'ImageSourceUnavailable'],
    [{ url: 'http://10.77.0.10/x' }, 'ImageSourceUnavailable'],
    [{ url, checksum: { algorithm: 'sha256', value: '0'.repeat(64) } }, 'ImageUnusable'],
  ] as [ImportImage['source'], string][]) {
    const { image, operationId } = await byAddress({ source });
    assert.equal((await cloud.failed(operationId)).code, code);
    await isGone(image.id);
  }
  assert.deepEqual(await unfinished(), []);
});

test('an address with a password in it is refused at once', async () => {
  await assert.rejects(byAddress({ source: { url: 'https://ada:secret@images.example/x' } }), {
    code: 'InvalidArgument',
    field: '/source/url',
  });
  const url = 'https://images.example/x';
  const secret = 'https://ada:secret@images.example/SHA256SUMS';
  const list = { url: secret, algorithm: 'sha256' as const };
  await assert.rejects(byAddress({ source: { url, checksumList: list } }), { field: '/source/checksumList/url' });
  const signature = { url: secret, fingerprint: 'A'.repeat(40) };
  await assert.rejects(byAddress({ source: { url, checksumList: { ...list, url, signature } } }), {
    field: '/source/checksumList/signature/url',
  });
});

test('a server that is killed while a host fetches an image goes on with it', async () => {
  const { image } = await cloud.killedAt('copy-image', () => byAddress({ name: 'killed' }));
  assert.equal((await get(image.id)).state, 'available');
  await remove(image.id);
});

test('an import is cancelled while it is under way', async () => {
  cloud.host(0).goUnreachable();
  cloud.host(1).goUnreachable();
  const { image, operationId } = await byAddress({ name: 'unwanted' });
  await until('it waits for its host', async () => {
    const row = await cloud.deps.db
      .selectFrom('operations')
      .select('message')
      .where('id', '=', operationId)
      .executeTakeFirstOrThrow();
    return /waiting/.test(row.message);
  });
  await assert.rejects(deleteImage(cloud.deps, cloud.operator, image.id), { code: 'Conflict' });
  await cancelImageImport(cloud.deps, cloud.operator, image.id);
  cloud.host(0).comeBack();
  cloud.host(1).comeBack();
  assert.match((await cloud.failed(operationId)).detail, /cancelled/);
  await isGone(image.id);
});

test('an image is sent in parts, and the last one starts its import', async () => {
  const body = {
    name: 'sent',
    sizeBytes: disk.length,
    checksum: { algorithm: 'sha256' as const, value: sha256Of(disk) },
  };
  const { id } = await uploadImage(cloud.deps, cloud.operator, body);
  assert.deepEqual(await getImageUpload(cloud.deps, cloud.operator, id), {
    ...{ imageId: id, receivedBytes: 0, sizeBytes: disk.length, operationId: null },
  });
  assert.equal((await send(id, 0, disk.subarray(0, 1000))).receivedBytes, 1000);
  await assert.rejects(send(id, 0, disk), { code: 'Conflict' });
  const { operationId } = await send(id, 1000, disk.subarray(1000));
  assert.ok(operationId);
  await assert.rejects(send(id, 0, disk), { code: /Conflict|NotFound/ } as object);
  await cloud.succeeded(operationId);
  const { origin, state } = await get(id);
  assert.deepEqual([state, origin?.url, origin?.verification?.checksum], ['available', null, 'matched']);
  await remove(id);
  assert.deepEqual(await unfinished(), []);
});

test('what is not sent to its end is given up by hand, or after a day', async () => {
  const announce = (name: string) => uploadImage(cloud.deps, cloud.operator, { name, sizeBytes: disk.length });
  const [byHand, forgotten] = [await announce('by-hand'), await announce('forgotten')];
  for (const { id } of [byHand, forgotten]) await send(id, 0, disk.subarray(0, 10));
  await cancelImageImport(cloud.deps, cloud.operator, byHand.id);
  await until('it is gone', () =>
    isGone(byHand.id).then(
      () => true,
      () => false,
    ),
  );
  aheadMs = 25 * 3_600_000;
  await until('the other one too', () =>
    isGone(forgotten.id).then(
      () => true,
      () => false,
    ),
  );
  await until('and their bytes', async () => (await unfinished()).length === 0);
});

test('bytes of an image that no row owns go', async () => {
  const orphan = { id: newId('image'), cloudId: cloud.deps.cloudId, offsetBytes: 0, sizeBytes: 10 };
  const theirs = { ...orphan, id: newId('image'), cloudId: 'another-cloud' };
  for (const part of [orphan, theirs]) await cloud.host().receiveImage(part, Readable.from([Buffer.alloc(10)]));
  await until('they are gone', async () => (await unfinished()).length === 0);
  assert.deepEqual(await cloud.host().listUnfinishedImages('another-cloud'), [theirs.id]);
});

test('the catalog has the official images, and what an administrator adds or puts in their place', async () => {
  const names = async () =>
    (await listCatalog(cloud.deps, cloud.operator)).items.map(
      (item) => `${item.name} ${item.architecture} ${item.origin}`,
    );
  const builtIn = await names();
  for (const name of [
    'debian-12',
    'debian-13',
    'ubuntu-22-04',
    'ubuntu-24-04',
    'ubuntu-26-04',
    'almalinux-9',
    'rocky-9',
    'almalinux-10',
    'rocky-10',
    'fedora-44',
    'opensuse-leap-16-0',
    'alpine-3-24',
    'freebsd-15-1',
  ]) {
    for (const machine of ['amd64', 'arm64']) assert.ok(builtIn.includes(`${name} ${machine} built-in`), name);
  }
  assert.equal(new Set(builtIn).size, builtIn.length);
  for (const { name, url: address, checksums } of officialImages) {
    const folder = address.slice(0, address.lastIndexOf('/') + 1);
    const beside = [checksums?.url, checksums?.signature?.url].filter((at) => at !== undefined);
    assert.ok(beside.length > 0 && beside.every((at) => at.startsWith(folder)), name);
    assert.ok(URL.parse(address)?.href === address && address.startsWith('https://'), address);
  }
  const own = `images:
  - name: debian-12
    title: Debian 12 of our mirror
    version: "12"
    architecture: amd64
    url: https://mirror.example/debian-12.qcow2
    format: raw
    checksums:
      url: https://mirror.example/SHA256SUMS
      algorithm: sha256
      signature: { fingerprint: ${'A'.repeat(40)} }
    defaultUser: debian
    minimumMemoryMib: 512
`;
  await writeFile(join(folder, 'catalog.yaml'), own);
  await writeFile(join(folder, `${'A'.repeat(40)}.gpg`), 'a key');
  const { items } = await listCatalog(cloud.deps, cloud.operator);
  const mirrored = items.find(({ name, architecture }) => name === 'debian-12' && architecture === 'amd64');
  assert.deepEqual([mirrored?.origin, mirrored?.hasKey], ['administrator', true]);
  await writeFile(
    join(folder, 'catalog.yaml'),
    `replace: true\n${own.replace(/ {4}checksums:[\s\S]*40\)\}/, '').replace(/ {4}checksums:[\s\S]*? \}\n/, '')}`,
  );
  assert.deepEqual(await names(), ['debian-12 amd64 administrator']);
  const { image, operationId } = await importImage(cloud.deps, cloud.operator, { source: { catalog: 'debian-12' } });
  await cloud.succeeded(operationId);
  assert.deepEqual([image.name, image.defaultUser, image.minimumMemoryMib], ['debian-12', 'debian', 512]);
  await remove(image.id);
  const pull = (source: ImportImage['source']) => importImage(cloud.deps, cloud.operator, { source });
  await assert.rejects(pull({ catalog: 'windows' }), { code: 'NotFound', field: '/source/catalog' });
  await assert.rejects(pull({ catalog: 'debian-12', architecture: 'arm64' }), { detail: /other machines/ } as object);
  await writeFile(join(folder, 'catalog.yaml'), 'images: [{ name: UPPER }]');
  await assert.rejects(names(), { code: 'OperationFailed', detail: /catalog file/ } as object);
  await rm(join(folder, 'catalog.yaml'));
});

test('a private image is of its project alone; only an administrator of the cloud makes it everybody’s, and its own project takes it back', async () => {
  const member = { ...cloud.operator, cloudRole: 'none' as const };
  const other = { ...member, projectId: newId('project') };
  await assert.rejects(importImage(cloud.deps, member, { name: 'p', source: { url }, visibility: 'public' }), {
    ...{ code: 'Forbidden', field: '/visibility' },
  });
  const { image, operationId } = await byAddress({ name: 'shared' });
  await cloud.succeeded(operationId);
  const seen = async () => (await listImages(cloud.deps.db, other, { name: 'shared' })).items.length;
  const launch = () => launchInstance(cloud.deps, other, { name: 'theirs', image: image.id, type: 'tiny' });
  assert.equal(await seen(), 0);
  await assert.rejects(launch(), { code: 'NotFound' });
  const set = (access: typeof member, visibility: 'private' | 'public') =>
    updateImage(cloud.deps, access, image.id, { visibility });
  await assert.rejects(set(member, 'public'), { code: 'Forbidden' });
  await assert.rejects(set({ ...other, cloudRole: 'none' }, 'private'), { code: 'NotFound' });
  const administrator = { ...cloud.operator, cloudRole: 'admin' as const };
  await cloud.succeeded((await updateImage(cloud.deps, administrator, image.id, { visibility: 'public' })).operationId);
  assert.equal(await seen(), 1);
  const hosts = await Promise.all([0, 1].map((host) => cloud.host(host).listImages(cloud.deps.cloudId)));
  const kept = hosts.flat().find(({ id }) => id === image.id)?.keepsake as { row: { visibility: string } };
  assert.equal(kept.row.visibility, 'public', 'hosts keep it as it is');
  await cloud.deps.db.insertInto('projects').values({ id: other.projectId, name: 'others', description: '' }).execute();
  const body = { name: 'their-secret', image: image.id, clone: 'linked' as const };
  const { volume, operationId: made } = await createVolume(cloud.deps, other, body);
  const ended = (operation: OperationId) =>
    until('it has ended', async () => {
      const { deps } = cloud;
      const row = await deps.db.selectFrom('operations').select('state').where('id', '=', operation).executeTakeFirst();
      return row?.state === 'succeeded';
    });
  await ended(made);
  await assert.rejects(deleteImage(cloud.deps, cloud.operator, image.id), (error: VirgaError) => {
    assert.equal(error.code, 'InUse');
    assert.doesNotMatch(`${error.detail} ${error.action}`, /their-secret/, 'what others call it is theirs');
    return true;
  });
  await ended((await deleteVolume(cloud.deps, other, volume.id)).operationId);
  await cloud.succeeded((await set(member, 'private')).operationId);
  assert.equal(await seen(), 0);
  await remove(image.id);
});
