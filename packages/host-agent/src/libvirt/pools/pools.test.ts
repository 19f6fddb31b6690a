// Pools on a real host: a guest whose pool is full, one with an encrypted disk, a folder that two hosts see, and one that is
// not mounted.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredInstance, DesiredNetwork } from '@virga/contract/agent/desired';
import type { DesiredPool } from '@virga/contract/agent/pools';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { type ImageId, newId, type VolumeId } from '@virga/contract/ids';
import { eventually } from '../../contract-suite/eventually.ts';
import { runCommand } from '../../run-command.ts';
import { withSecretFile } from '../../secret-file.ts';
import { storageSpace } from '../storage.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';
import { writingGuestDisk, writtenOffset, writtenSector } from '../testing/writing-guest.ts';
import { volumeSecretUuid } from '../volumes/volume-secret.ts';

const mebibyte = 1024 ** 2;
/** The volume, as the BIOS of the guest counts: it knows the disks that it may boot from, and the root disk comes first. */
const volumeDrive = 0x81;

let host: TestHost;
let network: DesiredNetwork;
let imageId: ImageId;
before(async () => {
  host = await openTestHost(74);
  network = host.network();
  await host.agent.applyNetwork(network);
  imageId = newId('image');
  const path = join(host.storagePath, 'writing.raw');
  await writeFile(path, writingGuestDisk(volumeDrive));
  const { agent, cloudId } = host;
  await agent.importImage({ id: imageId, cloudId, generation: 1, source: { kind: 'file', path }, format: 'raw' });
});
after(() => host?.close());

/** A folder in memory, of its own. */
async function aFolder(made: AsyncDisposableStack, sizeMib: number): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'virga-pool.'));
  await runCommand('mount', ['-t', 'tmpfs', '-o', `size=${sizeMib}m,mode=711`, 'tmpfs', path]);
  made.defer(async () => {
    await runCommand('umount', ['-l', path]).catch(() => undefined);
    await rm(path, { recursive: true });
  });
  return path;
}

const aPool = (path: string, driver: 'directory' | 'shared-directory' = 'directory'): DesiredPool => ({
  id: newId('pool'),
  cloudId: host.cloudId,
  generation: 1,
  name: 'pool',
  mustExist: false,
  place: { driver, path },
});

const aVolume = (made: AsyncDisposableStack, changes: Partial<DesiredVolume>): DesiredVolume => {
  const volume: DesiredVolume = {
    id: newId('volume'),
    cloudId: host.cloudId,
    generation: 1,
    name: 'data',
    sizeBytes: 64 * mebibyte,
    mustExist: false,
    keepsake: {},
    ...changes,
  };
  made.defer(() => host.agent.deleteVolume(volume));
  return volume;
};

/** A guest that writes to a volume when it is told to. */
async function aWriter(made: AsyncDisposableStack, { id }: DesiredVolume) {
  const desired: DesiredInstance = {
    ...host.instance(network, imageId),
    volumes: [{ id, target: 'vdc', readOnly: false }],
    overlay: [{ op: 'add', path: '/domain/devices/disk[target@dev="vdc"]', xml: "<boot order='2'/>" }],
  };
  made.defer(() => host.agent.deleteInstance(desired));
  await host.agent.applyInstance(desired);
  const console = await host.agent.openConsole(desired.id);
  made.defer(async () => void console.destroy());
  let said = '';
  console.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  const log = async () => (await host.agent.consoleLog(desired.id, 1024)).bytes.toString('latin1');
  await eventually('the guest is ready', async () => ((await log()).includes('R') ? true : undefined), 60_000);
  return { desired, write: () => console.write('x'), said: () => said };
}

const stateOf = async ({ id }: DesiredInstance) =>
  (await host.agent.listInstances(host.cloudId)).find((instance) => instance.id === id);

test('a guest whose pool is full stands still until there is room there, and what it wrote is whole', async () => {
  await using made = new AsyncDisposableStack();
  const path = await aFolder(made, 128);
  const pool = aPool(path, 'shared-directory');
  made.defer(() => host.agent.deletePool(pool));
  await host.agent.applyPool(pool);
  const volume = aVolume(made, { pool, format: 'raw' });
  await host.agent.applyVolume(volume);
  const { desired, write, said } = await aWriter(made, volume);
  const ballast = join(path, 'ballast');
  const { freeBytes } = await storageSpace({ path });
  await runCommand('fallocate', ['--length', String(freeBytes), ballast]);
  write();
  const isPaused = async () => ((await stateOf(desired))?.state === 'paused' ? true : undefined);
  await eventually('it stands still', isPaused);
  assert.equal((await stateOf(desired))?.reason, 'storage-full');
  // A little room is not enough: it would soon stand still again.
  await runCommand('fallocate', ['--punch-hole', '--offset', '0', '--length', String(8 * mebibyte), ballast]);
  assert.equal((await host.agent.applyInstance(desired)).state, 'paused');
  assert.ok(!said().includes('W'));

  await rm(ballast);
  assert.equal((await host.agent.applyInstance(desired)).state, 'running');
  await eventually('it has written', () => (said().includes('W') ? true : undefined), 60_000);
  assert.ok(!said().includes('E'));
  await host.agent.deleteInstance(desired);
  const content = await readFile(join(path, 'volumes', volume.id, 'disk.raw'));
  const sector = content.subarray(writtenOffset, writtenOffset + 512);
  assert.ok(sector.equals(writtenSector(volumeDrive)), 'the sector is there');
  content.fill(0, writtenOffset, writtenOffset + 512);
  assert.ok(content.equals(Buffer.alloc(content.length)), 'and nothing else');
});

test('what a guest writes to an encrypted volume is on the host only for who has its passphrase', async () => {
  await using made = new AsyncDisposableStack();
  const passphrase = 'the passphrase of this volume';
  const volume = aVolume(made, { passphrase });
  await host.agent.applyVolume(volume);
  const uuid = volumeSecretUuid(volume.id);
  const secret = (await host.outside.secrets.list()).find((one) => one.uuid === uuid)!;
  await assert.rejects(host.outside.secrets.value(secret), 'libvirt shows it to nobody');
  assert.match(await host.outside.secrets.xml(secret), /ephemeral='yes'/);
  // As after a restart of libvirt, which forgets it.
  await host.outside.secrets.undefine(secret);
  const without = { ...host.instance(network, imageId), volumes: [{ id: volume.id, target: 'vdc', readOnly: false }] };
  made.defer(() => host.agent.deleteInstance(without));
  await assert.rejects(host.agent.applyInstance(without), { code: 'NotFound', detail: /no passphrase/ });
  await host.agent.deleteInstance(without);

  await host.agent.applyVolume({ ...volume, mustExist: true });
  const { desired, write, said } = await aWriter(made, volume);
  write();
  await eventually('it has written', () => (said().includes('W') ? true : undefined), 60_000);
  const grown = { ...volume, mustExist: true, generation: 2, sizeBytes: 96 * mebibyte };
  assert.equal((await host.agent.applyVolume(grown)).sizeBytes, 96 * mebibyte, 'it grows while the guest has it');
  await host.agent.deleteInstance(desired);

  const file = join(host.storagePath, 'volumes', volume.id, 'disk.qcow2');
  const what = writtenSector(volumeDrive).subarray(0, 64);
  assert.equal((await readFile(file)).indexOf(what), -1, 'the file does not have what was written');
  const folders = await runCommand('grep', ['-rlF', passphrase, host.storagePath]).catch(() => '');
  assert.equal(folders, '', 'no file of the host has the passphrase');
  const plain = join(host.storagePath, 'plain.raw');
  await withSecretFile(passphrase, (path) =>
    runCommand('qemu-img', [
      ...['convert', '--object', `secret,id=k,file=${path}`, '--image-opts', '-O', 'raw'],
      ...[`driver=qcow2,file.filename=${file},encrypt.key-secret=k`, plain],
    ]),
  );
  const read = await readFile(plain);
  assert.ok(read.subarray(writtenOffset, writtenOffset + 512).equals(writtenSector(volumeDrive)));
  await host.agent.deleteVolume(volume);
  assert.ok(!(await host.outside.secrets.list()).some((one) => one.uuid === uuid), 'the secret goes with the volume');
});

test('of a folder that two hosts see, one finds what the other has made, and never two write one disk', async () => {
  await using made = new AsyncDisposableStack();
  const path = await aFolder(made, 256);
  const pool = aPool(path, 'shared-directory');
  const storagePath = await mkdtemp(join(tmpdir(), 'virga-other-host.'));
  await chmod(storagePath, 0o711);
  const other = await host.openAgent({ storagePath });
  made.defer(() => rm(storagePath, { recursive: true }));
  // One that has not mounted it finds no mark.
  const elsewhere = { driver: 'shared-directory', path: await aFolder(made, 16) } as const;
  await host.agent.applyPool(pool);
  await assert.rejects(other.applyPool({ ...pool, mustExist: true, place: elsewhere }), { code: 'PoolUnusable' });
  await other.applyPool({ ...pool, mustExist: true });
  const volume = aVolume(made, { pool });
  await host.agent.applyVolume(volume);
  const seen = (await other.listVolumes(host.cloudId)).map(({ id, intact }) => [id, intact]);
  assert.deepEqual(seen, [[volume.id, true]]);
  const { desired } = await aWriter(made, volume);

  const rival = { ...host.instance(network, imageId), volumes: [{ id: volume.id, target: 'vdc', readOnly: false }] };
  const image = { id: imageId, cloudId: host.cloudId, generation: 1, format: 'raw' as const };
  await other.importImage({ ...image, source: { kind: 'file', path: join(host.storagePath, 'writing.raw') } });
  await assert.rejects(other.applyInstance(rival), /lock/i);
  await other.deleteInstance(rival);
  assert.equal((await stateOf(desired))?.state, 'running');
  await assert.rejects(other.deleteVolume(volume), { code: 'InUse' });
  await host.agent.deleteInstance(desired);

  // Somebody whom this host's libvirt does not know, as QEMU on another machine.
  const disk = await realpath(join(path, 'volumes', volume.id, 'disk.qcow2'));
  const writer = spawn('qemu-io', ['-f', 'qcow2', disk], { stdio: ['pipe', 'pipe', 'inherit'] });
  writer.stdin.write('write 0 512\n');
  await once(writer.stdout, 'data');
  await assert.rejects(other.deleteVolume(volume), { code: 'InUse', detail: /Another host/ });
  const larger = { ...volume, mustExist: true, generation: 2, sizeBytes: 96 * mebibyte };
  await assert.rejects(other.applyVolume(larger), { code: 'HypervisorRefused', detail: /lock/ });
  writer.stdin.end('quit\n');
  await once(writer, 'exit');
  await other.deleteVolume(volume);
  assert.deepEqual(await host.agent.listVolumes(host.cloudId), []);
  await host.agent.deleteVolume(volume);
  for (const agent of [other, host.agent]) await agent.deletePool(pool);
});

test('a pool that is not mounted is said to be so, and nothing is made where it would be', async () => {
  await using made = new AsyncDisposableStack();
  const parent = await mkdtemp(join(tmpdir(), 'virga-pool.'));
  await chmod(parent, 0o711);
  made.defer(() => rm(parent, { recursive: true }));
  const mount = () => runCommand('mount', ['-t', 'tmpfs', '-o', 'size=64m,mode=711', 'tmpfs', parent]);
  await mount();
  const pool = aPool(parent);
  await host.agent.applyPool(pool);
  await runCommand('umount', [parent]);
  const [observed] = await host.agent.listPools(host.cloudId);
  assert.match(observed?.failure?.detail ?? '', /not the pool that it was/);
  await assert.rejects(host.agent.applyVolume(aVolume(made, { pool })), { code: 'PoolUnusable' });
  await assert.rejects(host.agent.applyPool({ ...pool, generation: 2 }), { code: 'PoolUnusable' });
  await host.agent.deletePool(pool);
});

test('a guest that was started before a pool was mounted is said to be so, and has what else it is to have', async () => {
  await using made = new AsyncDisposableStack();
  const { agent } = host;
  const own = aVolume(made, {});
  await agent.applyVolume(own);
  const { desired } = await aWriter(made, own);
  // As on a host whose root is not shared.
  const pool = aPool(await aFolder(made, 64));
  await agent.applyPool(pool);
  made.defer(() => agent.deletePool(pool));
  const [unseen, seen] = [aVolume(made, { pool }), aVolume(made, {})];
  for (const volume of [unseen, seen]) await agent.applyVolume(volume);
  const place = (id: VolumeId, target: string) => ({ id, target, readOnly: false });
  const volumes = [...desired.volumes, place(unseen.id, 'vdd'), place(seen.id, 'vde')];
  const wanted = { ...desired, generation: 2, volumes };
  const refused = { code: 'HypervisorRefused', detail: /was started before that was mounted/, action: /make-rshared/ };
  await assert.rejects(agent.applyInstance(wanted), refused);
  const { domains } = host.outside;
  const xml = await domains.xml(await domains.lookupByName(desired.domainName));
  assert.deepEqual([xml.includes(seen.id), xml.includes(unseen.id)], [true, false]);
  const move = { token: 'moved', volume: { ...own, pool, mustExist: true, generation: 2 }, holder: desired };
  await assert.rejects(agent.copyVolume(move), refused);
  await agent.cancelMove({ token: move.token, volumeId: own.id, cloudId: host.cloudId });
  await agent.deleteInstance(wanted);
});

test('no pool lies in another one, in whatever way its folder is named', async () => {
  await using made = new AsyncDisposableStack();
  const parent = await mkdtemp(join(tmpdir(), 'virga-pool.'));
  await chmod(parent, 0o711);
  made.defer(() => rm(parent, { recursive: true }));
  const folder = join(parent, 'pool');
  for (const path of [folder, join(folder, 'within')]) await mkdir(path);
  for (const [name, to] of [
    ['same', folder],
    ['inner', join(folder, 'within')],
    ['outer', '.'],
  ] as const) {
    await symlink(to, join(parent, name));
  }
  const pool = aPool(folder);
  await host.agent.applyPool(pool);
  made.defer(() => host.agent.deletePool(pool));
  const refused = (path: string, detail: RegExp) =>
    assert.rejects(host.agent.applyPool(aPool(path)), { code: 'PoolUnusable', detail });
  await refused(join(folder, 'within'), /lie in each other/);
  await refused(join(parent, 'inner'), /lie in each other/);
  await refused(join(parent, 'outer'), /lie in each other/);
  await refused(join(parent, 'same'), /is another pool/);
  assert.equal((await host.agent.applyPool({ ...pool, generation: 2, mustExist: true })).failure, null);
});

test('what a crash leaves of a volume or an instance in a pool is found, used and removed', async () => {
  await using made = new AsyncDisposableStack();
  const path = await aFolder(made, 64);
  const pool = aPool(path);
  const { agent, cloudId, storagePath } = host;
  await agent.applyPool(pool);
  made.defer(() => agent.deletePool(pool));
  const linkOf = (id: string) => join(storagePath, 'volumes', id);
  const seen = async () => (await agent.listVolumes(cloudId)).map(({ id, intact }) => [id, intact]);

  // It had its name, and no link yet.
  const volume = aVolume(made, { pool });
  await agent.applyVolume(volume);
  await rm(linkOf(volume.id));
  assert.deepEqual(await seen(), [[volume.id, true]]);
  assert.equal((await agent.applyVolume({ ...volume, mustExist: true })).intact, true);
  assert.equal(await readlink(linkOf(volume.id)), join(path, 'volumes', volume.id));
  await rm(linkOf(volume.id));

  // It had no name yet; and another host has removed one.
  const [begun, gone] = [newId('volume'), newId('volume')];
  await mkdir(join(path, 'volumes', `.${begun}.${cloudId}`));
  await symlink(join(path, 'volumes', gone), linkOf(gone));
  assert.deepEqual(
    (await seen()).sort(),
    [
      [volume.id, true],
      [begun, false],
    ].sort(),
  );
  for (const id of [volume.id, begun]) await agent.deleteVolume({ id, cloudId });
  assert.deepEqual(await readdir(join(path, 'volumes')), []);
  assert.deepEqual(
    (await readdir(join(storagePath, 'volumes'))).filter((name) => name.includes(gone)),
    [],
  );

  // The link of an instance is there before its folder is.
  const asked = host.instance(network, imageId);
  const desired = { ...asked, rootDisk: { ...asked.rootDisk, pool: pool.id } };
  const link = join(storagePath, 'instances', desired.id);
  await symlink(join(path, 'instances', desired.id), link);
  assert.equal((await agent.applyInstance(desired)).state, 'running');
  assert.deepEqual(await readdir(join(path, 'instances')), [desired.id]);
  await agent.deleteInstance(desired);
  await symlink(join(path, 'instances', desired.id), link);
  await agent.deleteInstance(desired);
  assert.deepEqual(await readdir(join(storagePath, 'instances')), []);
  assert.deepEqual(await readdir(join(path, 'instances')), []);
});
