// What is wrong with the machine: a full disk, no libvirtd, a socket that may not be opened, a port or a folder that another
// server has. Each is told in a sentence with what to do, leaves nothing half made, and is over when its cause is.
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ErrorCode } from '@virga/contract/errors';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { foldersOf } from 'virga/server/folders';
import { takeInventory } from './inventory.ts';
import { assertSpoken, Refusals } from './refusals.ts';
import { output, runProgram } from './run-program.ts';
import { startUnprivilegedServer } from './unprivileged-server.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;
let refusals: Refusals;
let guestImage = '';
/** A file system of its own, which can be made to be full without filling anything. */
const storage = '/run/small-storage';
const roomyBytes = 4 * 1024 ** 3;
const nobody = 65_534;
const patient = { timeoutMs: 60_000, intervalMs: 250 };

before(async () => {
  mkdirSync(storage, { mode: 0o711 });
  await output('mount', '-t', 'tmpfs', '-o', `size=${roomyBytes},mode=711`, 'tmpfs', storage);
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start(['--storage', storage]);
  refusals = new Refusals(cloud, storage);
  guestImage = join(cloud.folder, 'guest.raw');
  writeFileSync(guestImage, tinyGuestDisk({ answersAcpi: true }));
  await Promise.all([
    cloud.done(`images register ${guestImage} --name guest --format raw --wait`),
    cloud.done('networks create default --cidr 10.203.0.0/24 --wait'),
    cloud.done('types create nano --vcpus 1 --memory 64 --disk 1'),
  ]);
  await cloud.done('launch web --image guest --type nano --wait');
});

after(async () => {
  if (refusals) process.stdout.write(`${refusals.table()}\n`);
  await cloud?.close();
  await hypervisor?.close();
});

const launchWords = ['launch', 'new', '--image', 'guest', '--type', 'nano'];
const launchBody = { name: 'new', image: 'guest', type: 'nano' };
const posted = (path: string, body: unknown) => ({ method: 'POST', path: `/v1/${path}`, body });
const resize = (bytes: number) => output('mount', '-o', `remount,size=${bytes}`, storage);
const host = async () => (await cloud.json('hosts'))[0];
const instance = async (name: string) =>
  (await cloud.json('list')).find((item: { name: string }) => item.name === name);
const inventory = () => takeInventory(cloud, storage);

test('a disk that is full refuses images and instances, and takes them when there is room again', async (t) => {
  t.after(() => resize(roomyBytes));
  const { blocks, bfree, bsize } = statfsSync(storage);
  await resize((blocks - bfree) * bsize);
  const full = { code: 'StorageFull' as const, says: /storage|full/i };
  // The host has not told yet how little is left: it is found out when the disk is made.
  await refusals.check({
    ...full,
    what: 'full disk: launch',
    cli: { words: [...launchWords, '--wait'] },
    later: true,
  });
  await refusals.check({
    ...full,
    what: 'full disk: image',
    cli: { words: ['images', 'register', guestImage, '--name', 'more', '--format', 'raw', '--wait'] },
    http: posted('images', { name: 'more', path: guestImage, format: 'raw' }),
    later: true,
  });
  await until('the host says how full it is', async () => (await host()).facts.storageFreeBytes === 0, patient);
  await refusals.check({
    ...full,
    what: 'full disk that is known of: launch',
    cli: { words: launchWords },
    http: posted('instances', launchBody),
  });
  assert.equal((await instance('web')).state, 'running');

  await resize(roomyBytes);
  await until('there is room', async () => (await host()).facts.storageFreeBytes > 0, patient);
  assert.match(await cloud.done('launch new --image guest --type nano --wait'), /^instance new: running/);
  await cloud.done('delete new --yes --wait');
});

test('without libvirtd the host says why, launches are refused, and what was asked happens when it is back', async () => {
  await hypervisor.kill();
  const away = await until(
    'the host is told to be away',
    async () => {
      const found = await host();
      return found.state === 'unreachable' && found;
    },
    patient,
  );
  assert.match(away.stateReason, /^libvirtd is not running.* Start libvirtd: systemctl start libvirtd/);
  assert.match(await cloud.done('hosts show virga-test'), /systemctl start libvirtd/);
  await refusals.check({
    what: 'libvirtd not running: launch',
    code: 'HostUnavailable',
    says: /^Host virga-test is not ready: libvirtd is not running/,
    cli: { words: launchWords },
    http: posted('instances', launchBody),
  });
  const { id } = await instance('web');
  await refusals.check({
    what: 'libvirtd not running: XML',
    code: 'HostUnavailable',
    says: /libvirt/,
    cli: { words: ['xml', 'web'] },
    http: { method: 'GET', path: `/v1/instances/${id}/xml` },
  });
  const asked = [
    (await cloud.json('destroy web'))[0],
    await cloud.json(`images register ${guestImage} --name late --format raw`),
    await cloud.json('networks create late --cidr 10.205.0.0/24'),
  ];
  await until(
    'people are told what is waited for',
    async () =>
      (await cloud.json(`operations show ${asked[1].operationId}`)).message.includes('libvirtd is not running'),
    patient,
  );
  await cloud.stopServer();
  await cloud.startServer();
  assert.equal((await host()).state, 'unreachable');

  await hypervisor.start();
  for (const { operationId } of asked) assert.equal(await cloud.failureOf(operationId), undefined);
  assert.equal((await host()).state, 'ready');
  await cloud.done('images delete late --yes --wait');
  await cloud.done('networks delete late --yes --wait');
  assert.match(await output('virsh', 'domstate', (await instance('web')).domainName), /^shut off/);
  assert.match(await cloud.done('start web --wait'), /^instance web: running/);
});

test('a libvirt socket that may not be opened is told as such, with what to do', async () => {
  const { uid, gid, mode } = statSync(hypervisor.socketPath);
  chownSync(hypervisor.socketPath, nobody, nobody);
  chmodSync(hypervisor.socketPath, 0o700);
  const server = await startUnprivilegedServer(cloud);
  try {
    const env = { VIRGA_ACCESS_KEY_ID: server.accessKeyId, VIRGA_SECRET_ACCESS_KEY: server.secret };
    const at = (...words: string[]) => cloud.cli([...words, '--server', server.url], { env });
    await until(
      'the host says why',
      async () => {
        const [found] = JSON.parse((await at('hosts', '--output', 'json')).stdout);
        return /^Virga has no permission to open the socket of libvirtd\. .*usermod -aG libvirt/.test(
          found.stateReason,
        );
      },
      patient,
    );
    assert.match((await at('hosts', 'show', 'libvirt')).stdout, /unreachable[\s\S]*usermod -aG libvirt/);
    // As if image and network had been made when the socket could still be opened.
    for (const words of [
      ['images', 'register', guestImage, '--name', 'guest', '--format', 'raw'],
      ['networks', 'create', 'default', '--cidr', '10.204.0.0/24'],
      ['types', 'create', 'nano', '--vcpus', '1', '--memory', '64', '--disk', '1'],
    ]) {
      const { exit, stderr } = await at(...words);
      assert.equal(exit, 0, stderr);
    }
    await server.store.pool.query(`update images set state = 'available', virtual_size_bytes = 1`);
    await server.store.pool.query('update networks set converged_generation = generation');
    const launch = await at(...launchWords);
    assert.deepEqual([launch.exit, launch.stdout], [6, '']);
    const spoken = assertSpoken(launch.stderr, /no permission to open the socket of libvirtd/);
    assert.match(spoken.action, /usermod -aG libvirt/);
    assert.equal((await server.store.pool.query('select from instances')).rowCount, 0);
    refusals.note('no permission on the libvirt socket', 'HostUnavailable', spoken, { exit: 6 });
  } finally {
    await server.close();
    chownSync(hypervisor.socketPath, uid, gid);
    chmodSync(hypervisor.socketPath, mode & 0o777);
  }
});

/** Starts one more server, which must refuse. */
async function refusedServer(
  what: string,
  code: ErrorCode,
  exit: number,
  says: RegExp,
  options: string[],
  folders = foldersOf(join(cloud.folder, 'other')),
): Promise<void> {
  const before = await inventory();
  const started = await runProgram(process.execPath, cloud.serverCommand(options, folders));
  assert.equal(started.exit, exit, started.stderr);
  assert.equal(started.stdout, '');
  const spoken = assertSpoken(started.stderr, says);
  assert.deepEqual(await inventory(), before);
  assert.ok(!existsSync(join(cloud.folder, 'other/database')), 'a database was made');
  refusals.note(what, code, spoken, { exit });
}

test('a second server on the same port or the same folder is refused, and the first goes on', async () => {
  const { host: address } = new URL(cloud.url);
  await refusedServer('port in use', 'PortInUse', 6, new RegExp(`listens on ${address}`), ['--listen', address]);
  const anyPort = ['--listen', '127.0.0.1:0'];
  const pid = new RegExp(`process ${cloud.serverPid}`);
  await refusedServer('state folder in use', 'Conflict', 4, pid, anyPort, cloud.folders);
  await refusedServer('address of another machine', 'InvalidArgument', 2, /192\.0\.2\.1/, ['--listen', '192.0.2.1:80']);
  await refusedServer('address that is none', 'InvalidArgument', 2, /^--listen cannot be "here"/, ['--listen', 'here']);
  assert.equal((await host()).state, 'ready');
});

test('a server that is not root says so', async () => {
  const before = readdirSync(cloud.folder);
  // Somebody else, who may still read the sources, wherever they are.
  const capabilities = '+dac_read_search,+dac_override';
  const as = [`--reuid=${nobody}`, `--inh-caps=${capabilities}`, `--ambient-caps=${capabilities}`];
  const command = cloud.serverCommand(['--listen', '127.0.0.1:0'], foldersOf(join(cloud.folder, 'other')));
  const { exit, stderr } = await runProgram('setpriv', [...as, process.execPath, ...command]);
  assert.equal(exit, 5, stderr);
  const spoken = assertSpoken(stderr, /only root may do/);
  assert.deepEqual(readdirSync(cloud.folder), before);
  refusals.note('server that is not root', 'Forbidden', spoken, { exit });
});
