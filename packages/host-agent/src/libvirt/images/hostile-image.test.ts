// Image files that somebody made to harm the host, or by mistake. What the contract suite shows for every agent is not
// repeated here.
import assert from 'node:assert/strict';
import { chmod, copyFile, open, readdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredImage } from '@virga/contract/agent/desired';
import { type ErrorCode, VirgaError } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import { eventually } from '../../contract-suite/eventually.ts';
import { runCommand } from '../../run-command.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';

const mebibyte = 1024 * 1024;
let host: TestHost;
let plain: string;

before(async () => {
  host = await openTestHost(13);
  plain = join(host.storagePath, 'plain.qcow2');
  await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', plain, '64M']);
  await runCommand('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 0 8M', plain]);
});

after(() => host.close());

const image = (path: string, format: DesiredImage['format'] = 'qcow2'): DesiredImage => ({
  id: newId('image'),
  cloudId: host.cloudId,
  generation: 1,
  source: { kind: 'file', path },
  format,
});

async function changed(name: string, change: (path: string) => Promise<unknown>): Promise<string> {
  const path = join(host.storagePath, name);
  await copyFile(plain, path);
  await change(path);
  return path;
}

async function patch(path: string, offset: number, bytes: number[]): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(Buffer.from(bytes), 0, bytes.length, offset);
}

async function isRefused(desired: DesiredImage, code: ErrorCode, detail: RegExp): Promise<void> {
  await assert.rejects(host.agent.importImage(desired), (error) => {
    assert.ok(error instanceof VirgaError, String(error));
    assert.equal(error.code, code);
    assert.match(error.detail, detail);
    assert.equal(error.field, '/source/path');
    return true;
  });
  const left = (await readdir(join(host.storagePath, 'images'))).filter((name) => name.includes(desired.id));
  assert.deepEqual(left, []);
}

test('an encrypted image is refused', async () => {
  const path = join(host.storagePath, 'encrypted.qcow2');
  const secret = ['--object', 'secret,id=key,data=secret'];
  const options = ['-o', 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10'];
  // It measures how fast it derives keys, and gives up where the machine is too busy for that.
  const create = runCommand.bind(null, 'qemu-img', ['create', '-q', '-f', 'qcow2', ...secret, ...options, path, '1M']);
  await eventually('the image is made', () => create().catch(() => undefined));
  await isRefused(image(path), 'ImageUnusable', /encrypted/);
});

test('an image whose tables lead nowhere is refused', async () => {
  const l1TableOffset = 40;
  const path = await changed('corrupt.qcow2', (it) => patch(it, l1TableOffset, [0, 0, 0, 0, 0x7f, 0xff, 0, 0]));
  await isRefused(image(path), 'ImageUnusable', /corrupt/);
});

test('an image whose data lies beyond its end is refused', async () => {
  const path = await changed('cut.qcow2', (it) => truncate(it, 2 * mebibyte));
  await isRefused(image(path), 'ImageUnusable', /corrupt/);
});

test('an image that only wastes room is taken', async () => {
  const path = await changed('leaky.qcow2', async (it) => {
    await runCommand('qemu-io', ['-f', 'qcow2', '-c', 'write -P 9 16M 1M', it]);
    await using file = await open(it, 'r+');
    // The second-level table is forgotten: what it led to is there, and nothing uses it.
    const header = Buffer.alloc(48);
    await file.read(header, 0, 48, 0);
    await file.write(Buffer.alloc(8), 0, 8, Number(header.readBigUInt64BE(40)));
  });
  const desired = image(path);
  assert.equal((await host.agent.importImage(desired)).virtualSizeBytes, 64 * mebibyte);
  await host.agent.deleteImage(desired);
});

test('what is no regular file is refused without waiting for it', async () => {
  const pipe = join(host.storagePath, 'pipe');
  await runCommand('mkfifo', [pipe]);
  await isRefused(image(pipe, 'raw'), 'ImageUnusable', /not a regular file/);
  await isRefused(image('/dev/zero', 'raw'), 'ImageUnusable', /not a regular file/);
  await isRefused(image(host.storagePath, 'raw'), 'ImageUnusable', /not a regular file/);
  await isRefused(image(join(plain, 'below'), 'raw'), 'NotFound', /no file/);
});

test('a link leads to the image that it leads to when it is opened', async () => {
  const link = join(host.storagePath, 'link.qcow2');
  await symlink(plain, link);
  const desired = image(link);
  assert.equal((await host.agent.importImage(desired)).fileSizeBytes, (await stat(plain)).size);
  await host.agent.deleteImage(desired);
});

test('an imported image is the same bytes with holes, written by nobody and read by guests only', async () => {
  const path = join(host.storagePath, 'holes.raw');
  const content = Buffer.alloc(6 * mebibyte + 300);
  content.fill(5, mebibyte, mebibyte + 70_000);
  content.write('end', content.length - 3);
  await writeFile(path, content);
  const desired = image(path, 'raw');
  const observed = await host.agent.importImage(desired);
  assert.equal(observed.virtualSizeBytes % 512, 0);
  assert.ok(observed.virtualSizeBytes >= content.length);
  const stored = join(host.storagePath, 'images', desired.id, 'image');
  assert.ok(content.equals(await readFile(stored)));
  const { mode, blocks } = await stat(stored);
  assert.equal(mode & 0o777, 0o440);
  assert.ok(blocks * 512 < mebibyte, `${blocks * 512} bytes are taken`);
  await host.agent.deleteImage(desired);
});

test('an image that was damaged in the store counts as not there, and comes in again', async () => {
  const desired = image(plain);
  const first = await host.agent.importImage(desired);
  const stored = join(host.storagePath, 'images', desired.id, 'image');
  await chmod(stored, 0o640);
  await truncate(stored, 10);
  assert.deepEqual(await host.agent.listImages(host.cloudId), []);
  assert.deepEqual(await host.agent.importImage(desired), first);
  await host.agent.deleteImage(desired);
});

test('an import that is interrupted leaves nothing', async () => {
  const desired = image(plain);
  const abort = new AbortController();
  const reason = new Error('no longer wanted');
  const onProgress = () => abort.abort(reason);
  await assert.rejects(host.agent.importImage(desired, { onProgress, signal: abort.signal }), reason);
  const names = await readdir(join(host.storagePath, 'images'));
  assert.deepEqual(
    names.filter((name) => name.includes(desired.id)),
    [],
  );
});
