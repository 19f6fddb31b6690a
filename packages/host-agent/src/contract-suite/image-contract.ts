// Images: checked, copied, kept; refused when they are not what is stated.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { conforms } from '@virga/contract/agent/conforms';
import { ObservedImage } from '@virga/contract/agent/observed';
import { runCommand } from '../run-command.ts';
import { type ContractTest, rejectsWith } from './contract-test.ts';
import type { ContractWorld } from './contract-world.ts';

const mib = 1024 * 1024;

export function imageContract(test: ContractTest): void {
  for (const format of ['qcow2', 'raw'] as const) {
    test(`imports a ${format} image and tells its size and hash`, async (world, t) => {
      const image = world.image(`whole.${format}`, format);
      await qemuImg('create', '-f', format, image.source.path, String(8 * mib));
      t.after(() => world.agent.deleteImage(image));
      const percents: number[] = [];
      const observed = await world.agent.importImage(image, { onProgress: (_, percent) => percents.push(percent) });
      assert.ok(conforms(ObservedImage, observed), JSON.stringify(observed));
      const bytes = await readFile(image.source.path);
      const { id, cloudId } = image;
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      assert.deepEqual(observed, {
        id,
        cloudId,
        format,
        virtualSizeBytes: 8 * mib,
        fileSizeBytes: bytes.length,
        sha256,
      });
      assert.deepEqual(await find(world, image), observed);
      assert.ok(
        percents.length > 0 &&
          percents.every((percent, index) => percent <= 100 && percent >= (percents[index - 1] ?? 0)),
      );
    });
  }

  test('an image that is there is returned, whatever became of the file', async (world, t) => {
    const image = world.image('short-lived.raw');
    await writeFile(image.source.path, Buffer.alloc(mib, 7));
    t.after(() => world.agent.deleteImage(image));
    const observed = await world.agent.importImage(image);
    await rm(image.source.path);
    assert.deepEqual(await world.agent.importImage(image), observed);
  });

  test('says NotFound when there is no such file', async (world) => {
    const image = world.image('nowhere.raw');
    await rejectsWith('NotFound', world.agent.importImage(image));
    assert.equal(await find(world, image), undefined);
  });

  for (const [fault, make] of Object.entries(unusableImages)) {
    test(`says ImageUnusable, and keeps nothing, of an image that ${fault}`, async (world) => {
      const image = world.image(`unusable-${fault.replaceAll(' ', '-')}`, fault.includes('raw') ? 'raw' : 'qcow2');
      await make(image.source.path, world);
      await rejectsWith('ImageUnusable', world.agent.importImage(image));
      assert.equal(await find(world, image), undefined);
    });
  }

  test('says StorageFull, and keeps nothing, when there is no room', async (world) => {
    const image = world.image('too-much.raw');
    await writeFile(image.source.path, Buffer.alloc(mib, 7));
    await world.harness.fillStorage();
    try {
      await rejectsWith('StorageFull', world.agent.importImage(image));
    } finally {
      await world.harness.freeStorage();
    }
    assert.equal(await find(world, image), undefined);
  });

  test('an import that was interrupted can be made again', async (world, t) => {
    const image = world.image('interrupted.raw');
    await writeFile(image.source.path, Buffer.alloc(mib, 7));
    t.after(() => world.agent.deleteImage(image));
    const abort = new AbortController();
    world.onStep(image.id, () => abort.abort(new Error('interrupted')));
    await assert.rejects(world.agent.importImage(image, { signal: abort.signal }));
    world.onStep(image.id, () => undefined);
    assert.equal((await world.agent.importImage(image)).fileSizeBytes, mib);
  });

  test('keeps an image that disks rest on, and deletes it when they are gone', async (world, t) => {
    const image = world.image('base.raw');
    await copyFile(world.politeImage.source.path, image.source.path);
    await world.agent.importImage(image);
    const desired = world.instance(t);
    const rootDisk = { ...desired.rootDisk, imageId: image.id };
    await world.launched(t, { ...desired, rootDisk });
    await rejectsWith('InUse', world.agent.deleteImage(image));
    assert.notEqual(await find(world, image), undefined);
    await world.agent.deleteInstance(desired);
    await world.agent.deleteImage(image);
    assert.equal(await find(world, image), undefined);
    await world.agent.deleteImage(image);
  });

  test('leaves an image of another cloud alone', async (world) => {
    const foreign = { ...world.politeImage, cloudId: 'another' };
    await rejectsWith('Conflict', world.agent.importImage(foreign));
    await world.agent.deleteImage(foreign);
    assert.notEqual(await find(world, world.politeImage), undefined);
    assert.deepEqual(await world.agent.listImages('another'), []);
  });
}

const unusableImages: Record<string, (path: string, world: ContractWorld) => Promise<unknown>> = {
  'is no qcow2 file': (path) => writeFile(path, Buffer.alloc(mib, 7)),
  'is stated to be raw but is a qcow2 file': (path) => qemuImg('create', '-f', 'qcow2', path, '1M'),
  'is stated to be raw but is a qcow2 file that could not be used either': (path) =>
    qemuImg('create', '-f', 'qcow2', '-u', '-b', '/nowhere', '-F', 'raw', path, '1M'),
  'is raw and empty': (path) => writeFile(path, ''),
  'was cut off': async (path) => {
    await qemuImg('create', '-f', 'qcow2', path, '1M');
    await truncate(path, 70_000);
  },
  'has a backing file': async (path, world) => {
    await qemuImg('create', '-f', 'qcow2', '-b', world.politeImage.source.path, '-F', 'raw', path);
  },
  'keeps its data in another file': (path) =>
    qemuImg('create', '-f', 'qcow2', '-o', `data_file=${path}.data,data_file_raw=on`, path, '1M'),
  'is absurdly large': (path) => qemuImg('create', '-f', 'qcow2', '-o', 'cluster_size=2M', path, '100T'),
};

const qemuImg = (...args: string[]): Promise<string> => {
  const [command = '', ...rest] = args;
  return runCommand('qemu-img', [command, ...(command === 'create' ? ['-q'] : []), ...rest]);
};

async function find({ agent, cloudId }: ContractWorld, { id }: { id: string }): Promise<ObservedImage | undefined> {
  return (await agent.listImages(cloudId)).find((image) => image.id === id);
}
