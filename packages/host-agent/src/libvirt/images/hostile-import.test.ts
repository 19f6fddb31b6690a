// Images that somebody sends who wants to harm the host: each is refused in one clear sentence, leaves nothing, and takes no
// memory of the process. And those that somebody sends who does not: whatever they were, they are the same disk afterwards.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { UploadSource } from '@virga/contract/agent/image-source';
import { VirgaError } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import { runCommand } from '../../run-command.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';
import { ovf, tar } from './testing/archives.ts';
import { type Hostile, hostileFiles, type PlainImages, withFooter } from './testing/hostile-files.ts';

const mebibyte = 1024 ** 2;
const limits = { maximumFileBytes: 64 * mebibyte, maximumVirtualBytes: 1024 ** 4, maximumSeconds: 120 };

let host: TestHost;
let plain: PlainImages;
let rawPath: string;

before(async () => {
  host = await openTestHost(151);
  const at = (name: string) => join(host.storagePath, name);
  rawPath = at('plain.raw');
  const raw = Buffer.alloc(mebibyte);
  randomBytes(128 * 1024).copy(raw, 4096);
  await writeFile(rawPath, raw);
  const make = async (name: string, format: string, ...options: string[]) => {
    await runCommand('qemu-img', ['convert', '-f', 'raw', '-O', format, ...options, rawPath, at(name)]);
    return readFile(at(name));
  };
  await writeFile(at('zeros'), Buffer.alloc(96 * mebibyte));
  await runCommand('xz', ['-0', at('zeros')]);
  plain = {
    raw,
    qcow2: await make('plain.qcow2', 'qcow2'),
    vmdk: await make('plain.vmdk', 'vmdk'),
    stream: await make('stream.vmdk', 'vmdk', '-o', 'subformat=streamOptimized'),
    vhdx: await make('plain.vhdx', 'vhdx'),
    vdi: await make('plain.vdi', 'vdi'),
    xzBomb: await readFile(at('zeros.xz')),
  };
});

after(() => host.close());

type Sent = Pick<Hostile, 'content' | 'format' | 'kind' | 'checksum'>;

async function send({
  content,
  format = 'detect',
  kind,
  checksum,
}: Sent): Promise<DesiredImage & { source: UploadSource }> {
  const { cloudId } = host;
  const [id, sizeBytes] = [newId('image'), content.length];
  const sum = checksum === undefined ? {} : { checksum: { algorithm: 'sha256' as const, value: checksum } };
  const source: UploadSource = { kind: 'upload', sizeBytes, format, limits, ...sum };
  assert.equal(
    await host.agent.receiveImage({ id, cloudId, offsetBytes: 0, sizeBytes }, Readable.from([content])),
    sizeBytes,
  );
  return { id, cloudId, generation: 1, source, format: kind === 'iso' ? 'raw' : 'qcow2', ...(kind && { kind }) };
}

test('hostile images are refused, each in one sentence, and nothing of them is left, neither on the disk nor in memory', async () => {
  const hostile = Object.entries(hostileFiles(plain));
  assert.ok(hostile.length >= 100, `there are ${hostile.length}`);
  const wrong: string[] = [];
  const refuse = async (name: string, { said, ...file }: Hostile) => {
    const desired = await send(file);
    const error: unknown = await host.agent.importImage(desired).then(
      () => host.agent.deleteImage(desired),
      (thrown) => thrown,
    );
    const isSaid = error instanceof VirgaError && error.code === 'ImageUnusable' && said.test(error.detail);
    const isSentence =
      error instanceof VirgaError && /^The image file [^\n]*\.$/.test(error.detail) && error.action !== '';
    if (!isSaid || !isSentence) wrong.push(`${name}: ${error}`);
  };
  // The first of them loads what the others use too.
  await refuse(...hostile[0]!);
  const before = process.memoryUsage();
  const peakBefore = process.resourceUsage().maxRSS;
  for (const [name, file] of hostile) await refuse(name, file);
  const after = process.memoryUsage();
  assert.deepEqual(wrong, []);
  assert.deepEqual(await readdir(join(host.storagePath, 'images')), []);
  assert.deepEqual(await host.agent.listUnfinishedImages(host.cloudId), []);
  const grownMib = (after.rss - before.rss) / mebibyte;
  const peakMib = (process.resourceUsage().maxRSS - peakBefore) / 1024;
  assert.ok(grownMib < 96 && peakMib < 160, `grew by ${grownMib} MiB, ${peakMib} at most`);
});

const good: Record<string, () => Sent> = {
  raw: () => ({ content: plain.raw, format: 'raw' }),
  qcow2: () => ({ content: plain.qcow2 }),
  VMDK: () => ({ content: plain.vmdk }),
  'VMDK for streams': () => ({ content: plain.stream, format: 'vmdk' }),
  'VMDK for streams with a footer': () => ({ content: withFooter(plain.stream) }),
  VHDX: () => ({ content: plain.vhdx }),
  VDI: () => ({ content: plain.vdi }),
  'gzip of a qcow2': () => ({ content: gzipSync(plain.qcow2) }),
  'zstd of a raw disk': () => ({ content: zstdCompressSync(plain.raw), format: 'raw' }),
  OVA: () => {
    const sum = createHash('sha256').update(plain.stream).digest('hex');
    const manifest = Buffer.from(`SHA256(disk.vmdk)= ${sum}\n`);
    return {
      content: tar([
        ['vm.ovf', Buffer.from(ovf())],
        ['vm.mf', manifest],
        ['disk.vmdk', plain.stream],
      ]),
    };
  },
};

for (const [name, file] of Object.entries(good)) {
  test(`an image that is sent as ${name} is the same disk afterwards`, async (t) => {
    const desired = await send(file());
    t.after(() => host.agent.deleteImage(desired));
    const percents: number[] = [];
    const observed = await host.agent.importImage(desired, { onProgress: (_, percent) => percents.push(percent) });
    assert.deepEqual([observed.format, observed.virtualSizeBytes], ['qcow2', mebibyte]);
    const { content } = file();
    assert.equal(observed.verification?.sha256, createHash('sha256').update(content).digest('hex'));
    assert.equal(observed.verification?.sizeBytes, content.length);
    const stored = join(host.storagePath, 'images', desired.id, 'image');
    await runCommand('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', rawPath, stored]);
    assert.deepEqual(
      percents,
      [...percents].sort((a, b) => a - b),
      'progress goes one way',
    );
    assert.deepEqual(await host.agent.importImage(desired), observed, 'once more changes nothing');
    await host.agent.deleteImage(desired);
    assert.deepEqual(await readdir(join(host.storagePath, 'images')), []);
  });
}

test('an image is sent in parts, each of which begins where the last one ended', async () => {
  const { cloudId } = host;
  const [id, sizeBytes] = [newId('image'), plain.qcow2.length];
  const part = (offsetBytes: number, content: Buffer, size = sizeBytes) =>
    host.agent.receiveImage({ id, cloudId, offsetBytes, sizeBytes: size }, Readable.from([content]));
  assert.equal(await host.agent.receivedBytes({ id, cloudId }), 0);
  assert.equal(await part(0, plain.qcow2.subarray(0, 1000)), 1000);
  await assert.rejects(part(0, plain.qcow2), { code: 'Conflict', detail: /1000 bytes/ } as object);
  await assert.rejects(part(2000, plain.qcow2), { code: 'Conflict' });
  const source: UploadSource = { kind: 'upload', sizeBytes, format: 'detect', limits };
  const desired: DesiredImage = { id, cloudId, generation: 1, source, format: 'qcow2' };
  await assert.rejects(host.agent.importImage(desired), { code: 'Conflict', detail: /1000 of/ } as object);
  const broken = Readable.from(
    (async function* () {
      yield plain.qcow2.subarray(1000, 3000);
      throw new Error('the sender is gone');
    })(),
  );
  await assert.rejects(host.agent.receiveImage({ id, cloudId, offsetBytes: 1000, sizeBytes }, broken), /gone/);
  const again = await host.openAgent();
  assert.equal(await again.receivedBytes({ id, cloudId }), 3000, 'what came is there, also for another agent');
  await assert.rejects(part(3000, Buffer.concat([plain.qcow2, plain.qcow2])), { code: 'PayloadTooLarge' });
  const have = await again.receivedBytes({ id, cloudId });
  assert.equal(await part(have, plain.qcow2.subarray(have)), sizeBytes);
  assert.deepEqual(await host.agent.listUnfinishedImages(cloudId), [id]);
  assert.equal((await again.importImage(desired)).virtualSizeBytes, mebibyte);
  await host.agent.deleteImage(desired);
});

test('what was sent of an image goes with it', async () => {
  const desired = await send({ content: plain.qcow2 });
  await host.agent.deleteImage({ ...desired, cloudId: 'another' });
  assert.deepEqual(await host.agent.listUnfinishedImages(host.cloudId), [desired.id]);
  await host.agent.deleteImage(desired);
  assert.deepEqual(await readdir(join(host.storagePath, 'images')), []);
});

test('an import that is interrupted at any of its steps goes on where it was, and leaves nothing but the image', async () => {
  for (const step of ['fetch-image', 'verify-image', 'unpack-image', 'convert-image', 'check-image', 'name-image']) {
    const desired = await send({ content: gzipSync(plain.vmdk) });
    const interrupted = await host.openAgent({
      hook: (at) => {
        if (at === step) throw new Error('the agent ends');
      },
    });
    await assert.rejects(interrupted.importImage(desired), /the agent ends/, step);
    assert.deepEqual(await host.agent.listUnfinishedImages(host.cloudId), [desired.id], step);
    assert.equal((await host.agent.importImage(desired)).virtualSizeBytes, mebibyte, step);
    assert.deepEqual(await readdir(join(host.storagePath, 'images')), [desired.id], step);
    await host.agent.deleteImage(desired);
  }
});
