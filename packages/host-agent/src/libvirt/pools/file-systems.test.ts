// What volumes take, share and leave on file systems that can do different things: ext4 without reflinks, XFS and Btrfs with.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { link, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { newId, type VolumeId } from '@virga/contract/ids';
import { runCommand } from '../../run-command.ts';
import { storageSpace } from '../storage.ts';
import { type LoopKind, mountLoop } from '../testing/loop-file-system.ts';
import { openTestHost } from '../testing/test-host.ts';

const mebibyte = 1024 ** 2;
const imageMib = 48;
const kinds: { kind: LoopKind; sizeMib: number; reflink: boolean; octet: number }[] = [
  { kind: 'ext4', sizeMib: 320, reflink: false, octet: 76 },
  { kind: 'xfs', sizeMib: 512, reflink: true, octet: 77 },
  { kind: 'btrfs', sizeMib: 512, reflink: true, octet: 78 },
];

/** A host whose storage is on such a file system, with an image of random bytes. */
async function hostOn(t: TestContext, { kind, sizeMib, octet }: (typeof kinds)[number]) {
  const mounted = await mountLoop(kind, sizeMib);
  if (typeof mounted === 'string') {
    t.skip(mounted);
    return undefined;
  }
  const host = await openTestHost(octet, { storagePath: join(mounted.path, 'storage') });
  t.after(async () => {
    await host.close();
    await mounted.close();
  });
  const source = { kind: 'file' as const, path: join(mounted.path, 'random.raw') };
  await writeFile(source.path, randomBytes(imageMib * mebibyte));
  const image = { id: newId('image'), cloudId: host.cloudId, generation: 1, source, format: 'raw' as const };
  await host.agent.importImage(image);
  await rm(source.path);
  const volume = (changes: Partial<DesiredVolume>): DesiredVolume => ({
    id: newId('volume'),
    cloudId: host.cloudId,
    generation: 1,
    name: 'data',
    sizeBytes: imageMib * mebibyte,
    mustExist: false,
    keepsake: {},
    ...changes,
  });
  return {
    ...host,
    imageId: image.id,
    imageFile: join(mounted.path, 'storage/images', image.id, 'image'),
    fileOf: (id: VolumeId, format = 'raw') => join(mounted.path, 'storage/volumes', id, `disk.${format}`),
    volume,
    freeBytes: async () => {
      await runCommand('sync', ['-f', mounted.path]);
      return (await storageSpace({ path: mounted.path })).freeBytes;
    },
    path: mounted.path,
  };
}

const hashOf = async (path: string) =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex');

for (const kind of kinds) {
  const how = kind.reflink ? 'shares the blocks of' : 'is a copy of all of';
  test(`on ${kind.kind} a full clone ${how} its image, and neither is changed by the other`, async (t) => {
    const host = await hostOn(t, kind);
    if (host === undefined) return;
    const { agent, imageId, volume } = host;
    assert.deepEqual(
      { ...(await agent.storageAbilities()), directIo: true },
      { fileSystem: kind.kind, reflink: kind.reflink, directIo: true },
    );
    const before = await host.freeBytes();
    const clone = volume({ format: 'raw', source: { imageId, clone: 'full' } });
    await agent.applyVolume(clone);
    const takenBytes = before - (await host.freeBytes());
    const isShared = takenBytes < 8 * mebibyte;
    assert.equal(isShared, kind.reflink, `the clone took ${takenBytes} bytes`);

    const sealed = await hashOf(host.imageFile);
    assert.equal(await hashOf(host.fileOf(clone.id)), sealed);
    await using file = await open(host.fileOf(clone.id), 'r+');
    await file.write(Buffer.alloc(mebibyte, 7), 0, mebibyte, mebibyte);
    await file.sync();
    assert.equal(await hashOf(host.imageFile), sealed, 'the image is as it was');
    const other = volume({ sizeBytes: 2 * imageMib * mebibyte, source: { imageId, clone: 'full' } });
    assert.equal((await agent.applyVolume(other)).sizeBytes, 2 * imageMib * mebibyte);
    const read = ['convert', '-f', 'qcow2', '-O', 'raw', host.fileOf(other.id, 'qcow2'), join(host.path, 'read.raw')];
    await runCommand('qemu-img', read);
    const content = await readFile(join(host.path, 'read.raw'));
    const sha256 = createHash('sha256')
      .update(content.subarray(0, imageMib * mebibyte))
      .digest('hex');
    assert.equal(sha256, sealed, 'a clone of another format and size has the same content');
    await rm(join(host.path, 'read.raw'));
    for (const { id } of [clone, other]) await agent.deleteVolume({ id, cloudId: host.cloudId });
    await agent.deleteImage({ id: imageId, cloudId: host.cloudId });
  });

  test(`on ${kind.kind} a volume takes at once what it is to, and what is wiped reads as zeroes`, async (t) => {
    const host = await hostOn(t, kind);
    if (host === undefined) return;
    const { agent, cloudId, volume } = host;
    const sizeBytes = 32 * mebibyte;
    const used = async (changes: Partial<DesiredVolume>) => {
      const desired = volume({ sizeBytes, ...changes });
      const { usedBytes } = await agent.applyVolume(desired);
      await agent.deleteVolume(desired);
      return usedBytes ?? Number.NaN;
    };
    // XFS gives the first block of a file a mebibyte, as QEMU asks it to.
    assert.ok((await used({ format: 'raw' })) < 2 * mebibyte);
    for (const preallocation of ['falloc', 'full'] as const) {
      assert.ok((await used({ format: 'raw', preallocation })) >= sizeBytes, `raw ${preallocation}`);
      assert.ok((await used({ format: 'qcow2', preallocation })) >= sizeBytes, `qcow2 ${preallocation}`);
    }
    assert.ok((await used({ preallocation: 'metadata' })) < 4 * mebibyte);

    const secret = volume({ sizeBytes, format: 'raw' });
    await agent.applyVolume(secret);
    // A second name of the file shows what became of it.
    const kept = join(host.path, 'kept');
    await link(host.fileOf(secret.id), kept);
    await using file = await open(kept, 'r+');
    await file.write(Buffer.from('a secret'), 0, 8, 5 * mebibyte);
    await file.sync();
    await agent.deleteVolume({ id: secret.id, cloudId, wipe: 'zero' });
    assert.ok((await readFile(kept)).equals(Buffer.alloc(sizeBytes)), 'nothing of it is left');
  });
}
