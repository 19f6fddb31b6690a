// Images that are sent or downloaded: kept in parts, judged like any other, and gone when nobody wants them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { conforms } from '@virga/contract/agent/conforms';
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { DownloadSource, UploadSource } from '@virga/contract/agent/image-source';
import { ObservedImage } from '@virga/contract/agent/observed';
import { newId } from '@virga/contract/ids';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import type { ContractWorld } from './contract-world.ts';

const mib = 1024 ** 2;
const limits = { maximumFileBytes: 64 * mib, maximumVirtualBytes: 1024 * mib, maximumSeconds: 60 };

/** A disk with a boot sector. */
const disk = Buffer.alloc(mib, 'disk');
disk.writeUInt16LE(0xaa55, 510);
const qcow2WithBackingFile = Buffer.alloc(mib);
qcow2WithBackingFile.write('QFI\xfb', 'latin1');
qcow2WithBackingFile.writeUInt32BE(3, 4);
qcow2WithBackingFile.writeBigUInt64BE(512n, 8);
qcow2WithBackingFile.writeUInt32BE(16, 20);

type Upload = DesiredImage & { source: UploadSource };

function anUpload(world: ContractWorld, t: TestContext, content: Buffer, source: Partial<UploadSource> = {}): Upload {
  const image: Upload = {
    ...{ id: newId('image'), cloudId: world.cloudId, generation: 1, format: 'qcow2' as const },
    source: { kind: 'upload', sizeBytes: content.length, format: 'detect', limits, ...source },
  };
  t.after(() => world.agent.deleteImage(image));
  return image;
}

const send = (world: ContractWorld, { id, cloudId, source }: Upload, content: Buffer, offsetBytes = 0) =>
  world.agent.receiveImage({ id, cloudId, offsetBytes, sizeBytes: source.sizeBytes }, Readable.from([content]));

const isUnfinished = async ({ agent, cloudId }: ContractWorld, { id }: DesiredImage) =>
  (await agent.listUnfinishedImages(cloudId)).includes(id);

export function imageFetchingContract(test: ContractTest): void {
  test('takes an image in parts, and makes one of it when all have come', async (world, t) => {
    const image = anUpload(world, t, disk);
    assert.equal(await world.agent.receivedBytes(image), 0);
    assert.ok(!(await isUnfinished(world, image)));
    assert.equal(await send(world, image, disk.subarray(0, 1000)), 1000);
    assert.equal(await world.agent.receivedBytes(image), 1000);
    assert.ok(await isUnfinished(world, image));
    await rejectsWith('Conflict', send(world, image, disk, 999));
    await rejectsWith('Conflict', world.agent.importImage(image));
    assert.equal(await send(world, image, disk.subarray(1000), 1000), mib);
    const observed = await world.agent.importImage(image);
    assert.ok(conforms(ObservedImage, observed), JSON.stringify(observed));
    assert.equal(observed.virtualSizeBytes, mib);
    assert.deepEqual(observed.verification, {
      ...{ checksum: 'none', signature: 'none', sizeBytes: mib, format: 'raw' },
      sha256: createHash('sha256').update(disk).digest('hex'),
    });
    assert.ok(!(await isUnfinished(world, image)));
    assert.deepEqual(await world.agent.importImage(image), observed);
  });

  test('takes no more of an image than it was said to have', async (world, t) => {
    const image = anUpload(world, t, disk.subarray(0, 1000));
    await rejectsWith('PayloadTooLarge', send(world, image, disk));
  });

  for (const [fault, content, source] of [
    ['has a backing file', qcow2WithBackingFile, {}],
    ['is like none that is known', Buffer.alloc(mib, 'x'), {}],
    ['is stated to be raw and is something else', qcow2WithBackingFile, { format: 'raw' }],
    ['has another checksum', disk, { checksum: { algorithm: 'sha256', value: '0'.repeat(64) } }],
    ['is larger than the cloud takes', disk, { limits: { ...limits, maximumVirtualBytes: 1000 } }],
  ] as [string, Buffer, Partial<UploadSource>][]) {
    test(`says ImageUnusable of a sent image that ${fault}, and keeps nothing of it`, async (world, t) => {
      const image = anUpload(world, t, content, source);
      await send(world, image, content);
      await rejectsWith('ImageUnusable', world.agent.importImage(image));
      assert.ok(!(await isUnfinished(world, image)));
      assert.equal(await world.agent.receivedBytes(image), 0);
      assert.ok(!(await world.agent.listImages(world.cloudId)).some(({ id }) => id === image.id));
    });
  }

  test('what was sent goes with the image, and never with one of another cloud', async (world, t) => {
    const image = anUpload(world, t, disk);
    await send(world, image, disk.subarray(0, 10));
    await world.agent.deleteImage({ id: image.id, cloudId: 'another' });
    assert.ok(await isUnfinished(world, image));
    assert.deepEqual(await world.agent.listUnfinishedImages('another'), []);
    await world.agent.deleteImage(image);
    assert.ok(!(await isUnfinished(world, image)));
  });

  test('says NotFound of an image of which nothing was sent', async (world, t) => {
    await rejectsWith('NotFound', world.agent.importImage(anUpload(world, t, disk)));
  });

  test('downloads nothing from itself, from a link, or from the networks of the cloud', async (world) => {
    const networks = { allowed: ['10.0.0.0/8'], refused: ['10.9.0.0/16'] };
    for (const host of ['127.0.0.1', '169.254.169.254', '[::1]', '10.9.1.2', '192.168.1.1']) {
      const source: DownloadSource = { kind: 'download', url: `http://${host}/x`, format: 'detect', limits, networks };
      const image = { id: newId('image'), cloudId: world.cloudId, generation: 1, source, format: 'qcow2' as const };
      await rejectsWith('ImageSourceUnavailable', world.agent.importImage(image));
      assert.ok(!(await isUnfinished(world, image)));
    }
  });
}
