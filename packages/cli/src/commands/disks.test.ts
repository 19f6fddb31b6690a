// What is asked of the cloud about disks: how they are read and written, and what is known of those of its hosts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { captureCli } from '@virga/testing/captured-cli';
import { aHost, aHostDiskReport, anInstance, anInstanceType } from '@virga/testing/contract-examples';
import { type Handlers, serveContract } from '@virga/testing/contract-server';
import { aVolume } from '@virga/testing/pool-examples';

const operationId = 'op-00000000000000001';
const cached = anInstance({ rootDiskDriver: { cache: 'writethrough', ioThread: true } });

const cloud: Handlers = {
  listInstances: () => ({ items: [cached] }),
  launchInstance: () => ({ instance: cached, operationId }),
  attachVolume: () => ({ instance: cached, operationId }),
  setDiskDriver: () => ({ instance: cached, operationId }),
  createVolume: () => ({ volume: aVolume({ scratch: true }), operationId }),
  createInstanceType: () => anInstanceType({ diskDriver: { ioThread: true } }),
  listInstanceTypes: () => ({ items: [anInstanceType({ diskDriver: { ioThread: true } }), anInstanceType()] }),
  listKeyPairs: () => ({ items: [] }),
  listHosts: () => ({ items: [aHost()] }),
};

/** The body of the one request that changes something. */
async function asked(...argv: string[]): Promise<unknown> {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  const run = await cli.run(argv);
  assert.equal(run.exit, 0, run.stderr);
  return server.seen.findLast(({ body }) => body !== undefined)?.body;
}

test('a driver is asked for at launch, by a type, and with an attachment', async () => {
  const launch = ['launch', 'web', '--image', 'starter', '--type', 'small', '--no-key'];
  const options = ['--disk-cache', 'none', '--disk-aio', 'io_uring', '--disk-io-thread'];
  const { rootDiskDriver } = (await asked(...launch, ...options)) as { rootDiskDriver: unknown };
  assert.deepEqual(rootDiskDriver, { cache: 'none', aio: 'io_uring', ioThread: true });
  const type = [
    'types',
    'create',
    'fast',
    '--vcpus',
    '1',
    '--memory',
    '256',
    '--disk',
    '1',
    '--disk-discard',
    'ignore',
  ];
  const { diskDriver } = (await asked(...type)) as { diskDriver: unknown };
  assert.deepEqual(diskDriver, { discard: 'ignore' });
  assert.deepEqual(await asked('attach', 'web', 'data', '--cache', 'unsafe', '--io-thread=no'), {
    volume: 'data',
    driver: { cache: 'unsafe', ioThread: false },
  });
  assert.deepEqual(await asked('volumes', 'create', 'spool', '--size', '1', '--scratch'), {
    name: 'spool',
    sizeGib: 1,
    scratch: true,
  });
});

test('what is left out of a change stays as it is, and --default forgets it all', async () => {
  assert.deepEqual(await asked('disks', 'set', 'web', 'root', '--cache', 'directsync', '--restart'), {
    driver: { cache: 'directsync', ioThread: true },
    restart: true,
  });
  assert.deepEqual(await asked('disk', 'set', 'web', 'data', '--aio', 'threads'), { driver: { aio: 'threads' } });
  assert.deepEqual(await asked('disks', 'set', 'web', 'root', '--default'), { driver: {} });
});

test('a change of nothing, or of something and all, is refused before the cloud is asked', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  for (const options of [[], ['--default', '--cache', 'none']]) {
    const run = await cli.run(['disks', 'set', 'web', 'root', ...options]);
    assert.equal(run.exit, 2);
  }
  assert.equal(server.seen.length, 0);
});

test('drivers are shown with instances and types that have one', async () => {
  await using server = await serveContract(cloud);
  await using cli = await captureCli(server.url);
  assert.match((await cli.run(['show', 'web'])).stdout, /Disk driver +cache writethrough, I\/O thread/);
  assert.match((await cli.run(['types'])).stdout, /DISK DRIVER\n.*I\/O thread\n.*-\n/);
});

test('a disk on which write-back was allowed is told so, and storage of which nothing is known is told with the reason', async () => {
  const [disk] = aHostDiskReport().disks;
  const allowedWriteback = [
    { device: 'nvme3n1', key: disk!.id!, allowedBy: 'admin', allowedAt: '2026-03-01T12:00:00.000Z' },
  ];
  const why = 'It lies on nfs4 (nas:/virga), which is no local disk’s.';
  const storage = { path: '/srv', devices: [], through: [], fileSystem: 'nfs4', why };
  const report = aHostDiskReport({ allowedWriteback, storage });
  await using server = await serveContract({ ...cloud, listHostDisks: () => report });
  await using cli = await captureCli(server.url);
  const run = await cli.run(['hosts', 'disks']);
  assert.match(run.stdout, /nvme0n1 .* volatile +allowed +- /);
  assert.match(run.stdout + run.stderr, /storage of alpha, \/srv: It lies on nfs4/);
});
