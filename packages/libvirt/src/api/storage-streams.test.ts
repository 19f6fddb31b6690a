// Volumes of a real folder moved through real streams, compared byte by byte.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { after, before, test } from 'node:test';
import type { Connection } from '../connection/connect.ts';
import type { StreamHole } from '../connection/stream.ts';
import type { StoragePoolRef, VolumeRef } from '../protocol/objects.ts';
import { connectForTest, storageFolder, uniqueName, waitFor } from '../testing/daemon.ts';

const mib = 2 ** 20;
let connection: Connection;
let folder: Awaited<ReturnType<typeof storageFolder>>;
let pool: StoragePoolRef;

before(async () => {
  connection = await connectForTest('qemu:///system');
  folder = await storageFolder();
  pool = await connection.storagePools.defineXml(
    `<pool type='dir'><name>${uniqueName()}</name><target><path>${folder.path}</path></target></pool>`,
    { validate: true },
  );
  await connection.storagePools.create(pool);
});

after(async () => {
  await connection.storagePools.destroy(pool);
  await connection.storagePools.undefine(pool);
  await connection.close();
  await folder[Symbol.asyncDispose]();
});

function rawVolume(sizeBytes: number): Promise<VolumeRef> {
  const name = uniqueName();
  return connection.volumes.createXml(
    pool,
    `<volume><name>${name}</name><capacity unit='bytes'>${sizeBytes}</capacity><allocation>0</allocation>
     <target><format type='raw'/></target></volume>`,
  );
}

test('what is uploaded is what is downloaded, whole and in part', async () => {
  const { volumes } = connection;
  const data = randomBytes(5 * mib + 12_345);
  const volume = await rawVolume(data.length);
  await pipeline(Readable.from([data.subarray(0, 3 * mib), data.subarray(3 * mib)]), await volumes.upload(volume));
  assert.ok(data.equals(await buffer(await volumes.download(volume))));
  const part = await buffer(await volumes.download(volume, { offsetBytes: 1000, lengthBytes: 2 * mib }));
  assert.ok(data.subarray(1000, 1000 + 2 * mib).equals(part));
  const patch = randomBytes(4096);
  const upload = await volumes.upload(volume, { offsetBytes: mib, lengthBytes: patch.length });
  await pipeline(Readable.from([patch]), upload);
  patch.copy(data, mib);
  assert.ok(data.equals(await buffer(await volumes.download(volume))));
  assert.equal((await volumes.info(volume)).capacityBytes, data.length);
});

test('an empty volume downloads as nothing', async () => {
  const volume = await rawVolume(0);
  assert.equal((await buffer(await connection.volumes.download(volume))).length, 0);
});

test('a reader that stops holds back only its own stream, and memory stays bounded', async () => {
  const { volumes } = connection;
  const sizeBytes = 64 * mib;
  const volume = await rawVolume(sizeBytes);
  const download = await volumes.download(volume);
  await new Promise((resolve) => download.once('readable', resolve));
  for (let i = 0; i < 200; i++) await connection.domains.list();
  assert.ok(download.readableLength < 2 * mib, `${download.readableLength} bytes wait`);
  const hash = createHash('sha256');
  let received = 0;
  for await (const chunk of download as AsyncIterable<Buffer>) {
    received += chunk.length;
    hash.update(chunk);
  }
  assert.equal(received, sizeBytes);
  const zeroes = createHash('sha256').update(Buffer.alloc(sizeBytes)).digest('hex');
  assert.equal(hash.digest('hex'), zeroes);
});

test('a download that is destroyed leaves the connection in order', async () => {
  const volume = await rawVolume(64 * mib);
  const download = await connection.volumes.download(volume);
  const closed = waitFor<void>('the end of the stream');
  download.once('data', () => download.destroy());
  download.once('close', () => closed.resolve());
  await closed.done;
  assert.ok(await connection.volumes.info(volume));
});

test('holes travel as holes, both ways', async () => {
  const { volumes } = connection;
  const data = randomBytes(64 * 1024);
  const hole: StreamHole = { holeBytes: 8 * mib };
  const volume = await rawVolume(data.length * 2 + hole.holeBytes);
  await pipeline(Readable.from([data, hole, data]), await volumes.upload(volume, { sparse: true }));
  const file = await stat(await volumes.path(volume));
  assert.equal(file.size, data.length * 2 + hole.holeBytes);
  assert.ok(file.blocks * 512 < mib, 'the hole takes no space');

  let position = 0;
  let holeBytes = 0;
  for await (const piece of (await volumes.download(volume, { sparse: true })) as AsyncIterable<Buffer | StreamHole>) {
    if (Buffer.isBuffer(piece)) {
      if (position < data.length) assert.ok(piece.equals(data.subarray(position, position + piece.length)));
      position += piece.length;
    } else {
      position += piece.holeBytes;
      holeBytes += piece.holeBytes;
    }
  }
  assert.equal(position, file.size);
  assert.ok(holeBytes > 7 * mib);
});

test('writing behind the end of a range is an error of the stream, not a silent loss', async () => {
  const volume = await rawVolume(4096);
  const upload = await connection.volumes.upload(volume, { lengthBytes: 4096 });
  await assert.rejects(pipeline(Readable.from([randomBytes(mib)]), upload), { name: 'LibvirtError' });
  assert.ok(await connection.volumes.info(volume));
});

test('a stream on a volume that is gone is refused by name', async () => {
  const volume = await rawVolume(4096);
  await connection.volumes.delete(volume);
  await assert.rejects(connection.volumes.download(volume), { name: 'LibvirtError', code: 'NO_STORAGE_VOL' });
});

test('a clone, a larger capacity and a wipe do what they say', async () => {
  const { volumes } = connection;
  const data = randomBytes(mib);
  const source = await rawVolume(data.length);
  await pipeline(Readable.from([data]), await volumes.upload(source));
  const xml = `<volume><name>${uniqueName()}</name><capacity>${data.length}</capacity></volume>`;
  const clone = await volumes.createXmlFrom(pool, xml, source);
  assert.ok(data.equals(await buffer(await volumes.download(clone))));
  await volumes.resize(clone, 2 * mib);
  assert.equal((await volumes.info(clone)).capacityBytes, 2 * mib);
  await volumes.wipe(source);
  assert.ok(Buffer.alloc(data.length).equals(await buffer(await volumes.download(source))));
});

test('pool events tell of start, refresh and stop', async () => {
  const { storagePools } = connection;
  const seen: string[] = [];
  await using _ = await storagePools.onLifecycle((event) => {
    if (event.kind === 'lifecycle') seen.push(`${event.pool.name} ${event.event}`);
  });
  const refreshed = waitFor<string>('the refresh');
  await using _refresh = await storagePools.onRefresh(({ pool: { name } }) => refreshed.resolve(name));
  const other = await storagePools.createXml(
    `<pool type='dir'><name>${uniqueName()}</name><target><path>${folder.path}/sub</path></target></pool>`,
    { build: true },
  );
  await storagePools.refresh(other);
  assert.equal(await refreshed.done, other.name);
  await storagePools.destroy(other);
  await storagePools.list();
  assert.deepEqual(seen, [`${other.name} started`, `${other.name} stopped`]);
});

test('a secret keeps its bytes and is found by use', async () => {
  const { secrets } = connection;
  const usage = uniqueName();
  const secret = await secrets.defineXml(
    `<secret ephemeral='yes' private='no'><usage type='ceph'><name>${usage}</name></usage></secret>`,
  );
  await assert.rejects(secrets.value(secret), { code: 'NO_SECRET' });
  const value = randomBytes(100);
  await secrets.setValue(secret, value);
  assert.ok(value.equals(await secrets.value(secret)));
  assert.deepEqual(await secrets.lookupByUsage('ceph', usage), secret);
  assert.deepEqual(await secrets.lookupByUuid(secret.uuid), secret);
  await secrets.undefine(secret);
  await assert.rejects(secrets.lookupByUuid(secret.uuid), { code: 'NO_SECRET' });
});
