// A file that is sent over a connection that breaks: it arrives whole, and a person who has enough of it leaves nothing behind.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sendImage } from '@virga/contract/client';
import { type CapturedCli, captureCli } from '@virga/testing/captured-cli';
import { startTemporaryCloud, type TemporaryCloud } from '@virga/testing/temporary-cloud';
import { until } from '@virga/testing/until';

const mebibyte = 1024 ** 2;
let cloud: TemporaryCloud;
let cli: CapturedCli;
let between: Server;
/** How many more bytes pass before the connection is cut. */
let fuse = Number.POSITIVE_INFINITY;
let cuts = 0;
let passed = 0;

before(async () => {
  cloud = await startTemporaryCloud();
  const { port, hostname } = new URL(cloud.url);
  between = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    far.pipe(near);
    near.on('data', (chunk) => {
      fuse -= chunk.length;
      passed += chunk.length;
      if (fuse > 0) return void far.write(chunk);
      [fuse, cuts] = [Number.POSITIVE_INFINITY, cuts + 1];
      near.destroy();
      far.destroy();
    });
    near.on('close', () => far.destroy());
  }).listen(0, '127.0.0.1');
  await once(between, 'listening');
  const { accessKeyId, secret } = cloud.credentials;
  const url = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
  cli = await captureCli(url, { VIRGA_ACCESS_KEY_ID: accessKeyId, VIRGA_SECRET_ACCESS_KEY: secret });
});

after(async () => {
  await cli?.[Symbol.asyncDispose]();
  between?.close();
  await cloud?.close();
});

const images = async () => (await cloud.client.listImages({ query: {} })).items;

test('a part that is lost on its way is sent again, and the file arrives as it is', async () => {
  const path = join(cli.home, 'disk.raw');
  const content = randomBytes(20 * mebibyte);
  await writeFile(path, content);
  const sum = createHash('sha256').update(content).digest('hex');
  fuse = 11 * mebibyte;
  const run = await cli.run(['images', 'import', path, '--name', 'disk', '--format', 'raw', '--sha256', sum, '--wait']);
  assert.equal(run.exit, 0, run.stderr);
  assert.equal(cuts, 1);
  assert.match(run.stdout, /image disk: available/);
  const [image] = await images();
  assert.equal(image?.origin?.verification?.sha256, sum);
});

test('the same command goes on with what an earlier one did not finish, and never mixes two files', async () => {
  const [path, other] = [join(cli.home, 'later.raw'), join(cli.home, 'mixed.raw')];
  const content = randomBytes(20 * mebibyte);
  await writeFile(path, content);
  await writeFile(other, randomBytes(20 * mebibyte));
  const checksum = { algorithm: 'sha256' as const, value: createHash('sha256').update(content).digest('hex') };
  const begin = async (name: string) => {
    const body = { name, sizeBytes: content.length, format: 'raw' as const, checksum };
    const { id } = await cloud.client.uploadImage({ body });
    const connection = { server: cloud.url, ...cloud.credentials };
    await sendImage(connection, { id, offsetBytes: 0 }, content.subarray(0, 15 * mebibyte));
  };
  await begin('later');
  passed = 0;
  const run = await cli.run(['images', 'import', path, '--name', 'later', '--format', 'raw', '--wait']);
  assert.equal(run.exit, 0, run.stderr);
  assert.ok(passed > 5 * mebibyte && passed < 6 * mebibyte, `${passed} bytes were sent`);
  await begin('mixed');
  const mixed = await cli.run(['images', 'import', other, '--name', 'mixed', '--format', 'raw', '--wait']);
  assert.match(mixed.stderr, /checksum/);
  assert.ok((await images()).every(({ name }) => name !== 'mixed'));
});

test('who interrupts it, or gives a file that changes, leaves no image behind', async () => {
  const path = join(cli.home, 'other.raw');
  await writeFile(path, randomBytes(20 * mebibyte));
  const abort = new AbortController();
  const run = await cli.run(['images', 'import', path, '--name', 'other', '--format', 'raw'], {
    interrupt: abort.signal,
    columns: 100,
    onOutput: ({ stderr, stdout }) => /sending other/.test(stderr + stdout) && abort.abort(),
  } as Parameters<CapturedCli['run']>[1]);
  assert.notEqual(run.exit, 0);
  await until('it is given up', async () => (await images()).every(({ name }) => name !== 'other'));
});

test('a file that is not there, or is empty, is told of before anything is asked for', async () => {
  const empty = join(cli.home, 'empty');
  await writeFile(empty, '');
  const missing = await cli.run(['images', 'import', join(cli.home, 'missing'), '--name', 'x']);
  assert.deepEqual([missing.exit, /There is no file/.test(missing.stderr)], [3, true]);
  const nothing = await cli.run(['images', 'import', empty, '--name', 'x']);
  assert.deepEqual([nothing.exit, /is empty/.test(nothing.stderr)], [2, true]);
  assert.ok((await images()).every(({ name }) => name !== 'x'));
});
