// Backups of a real domain into a real store, restored and compared byte for byte with what was written.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import type { BackupStoreAccess, StoredDisk } from '@virga/contract/agent/backups';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { newId, type RestoreId } from '@virga/contract/ids';
import { eventually } from '../../contract-suite/eventually.ts';
import { exists } from '../../exists.ts';
import { runCommand } from '../../run-command.ts';
import { tpmStatePath } from '../instances/tpm-state.ts';
import { readEncrypted, writeInGuest } from '../testing/disk-patterns.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';
import { checkpointName, dropCheckpoints } from './checkpoints.ts';
import { BackupWorld, directoryStore, diskBytes, readDisk } from './testing/backup-world.ts';

const mib = 1024 * 1024;

let host: TestHost;
let store: BackupStoreAccess;
before(async () => {
  host = await openTestHost(211);
  store = directoryStore(host, join(host.storagePath, 'store'));
  assert.deepEqual(await host.agent.openBackupStore(store), { created: true });
  assert.deepEqual(await host.agent.openBackupStore(store), { created: false });
});
after(() => host.close());

async function openWorld(t: TestContext): Promise<BackupWorld> {
  const world = await BackupWorld.open(host, store);
  t.after(() => world.close());
  return world;
}

const off = { power: { state: 'stopped' as const, forceAt: new Date(0).toISOString() } };

test('a full backup and two that rest on it are restored byte for byte, each as it was then', async (t) => {
  const world = await openWorld(t);
  await world.host.agent.applyInstance(world.instance);
  await world.write(0, mib, 0x11);
  await world.write(5 * mib, 2 * mib, 0x22);
  const full = await world.backUp();
  assert.equal(full.fullReason, 'first');
  assert.equal(full.disks[0]?.dataBytes, 3 * mib, 'what is empty is not read');

  await world.write(mib, mib, 0x33);
  await world.discard(5 * mib, mib);
  const second = await world.backUp();
  assert.equal(second.fullReason, null);
  assert.equal(second.disks[0]?.dataBytes, mib);

  await world.write(diskBytes - 64 * 1024, 64 * 1024, 0x44);
  await world.write(0, 64 * 1024, 0x55);
  const third = await world.backUp();
  assert.equal(third.disks[0]?.dataBytes, 128 * 1024);

  for (const { backup, content } of world.made) assert.ok((await world.restored(backup.id)).equals(content), backup.id);
  assert.ok(world.content.equals(world.made.at(-1)!.content));
  const left = (await readdir(join(host.storagePath, 'backups'))).filter((name) => name !== 'restic');
  assert.deepEqual(left, [], 'nothing is left on the host');
  const settings = await world.host.agent.readBackupSettings(world.store, third.settingsSnapshotId);
  assert.equal(settings.desired.id, world.instance.id);
  assert.match(settings.xml, /<domain /);
});

test('what is recorded of changes outlives the end of the guest and of libvirt, and of the agent', async (t) => {
  const world = await openWorld(t);
  const { agent } = world.host;
  await agent.applyInstance(world.instance);
  await world.write(0, mib, 0x11);
  await world.backUp();
  await world.write(2 * mib, mib, 0x22);
  await agent.applyInstance({ ...world.instance, ...off, generation: 2 });
  const again = await world.host.openAgent();
  await again.applyInstance({ ...world.instance, generation: 3 });
  await world.write(4 * mib, mib, 0x33);
  const second = await world.backUp({}, again);
  assert.equal(second.fullReason, null);
  assert.equal(second.disks[0]?.dataBytes, 2 * mib);
  assert.ok((await world.restored(second.id)).equals(world.content));
});

test('where the chain is broken a backup has everything in it, and says why', async (t) => {
  const world = await openWorld(t);
  const { agent, outside } = world.host;
  await agent.applyInstance(world.instance);
  await world.write(0, mib, 0x11);
  await world.backUp();

  await t.test('after the guest was killed, which lost what was recorded', async () => {
    await world.write(mib, mib, 0x22);
    const pid = Number(await readFile(`/run/libvirt/qemu/${world.instance.domainName}.pid`, 'utf8'));
    process.kill(pid, 'SIGKILL');
    let isOff = false;
    for (; !isOff; ) {
      isOff = !(await outside.domains.isActive(await outside.domains.lookupByUuid(world.instance.uuid)));
    }
    await agent.applyInstance({ ...world.instance, generation: 2 });
    await world.write(2 * mib, mib, 0x33);
    const backup = await world.backUp();
    assert.equal(backup.fullReason, 'chain-broken');
    assert.ok((await world.restored(backup.id)).equals(world.content));
  });
  await t.test('when the parent is none that this host knows', async () => {
    const parent = { id: newId('backup'), disks: world.made.at(-1)!.backup.disks };
    assert.equal((await world.backUp({ parent })).fullReason, 'chain-broken');
  });
  await t.test('when the disk has another size', async () => {
    const parent = { id: world.made.at(-1)!.backup.id, disks: [{ id: world.instance.rootDisk.id, sizeBytes: mib }] };
    assert.equal((await world.backUp({ parent })).fullReason, 'disks-changed');
  });
  await t.test('and then they rest on each other again', async () => {
    await world.write(3 * mib, mib, 0x44);
    const backup = await world.backUp();
    assert.equal(backup.fullReason, null);
    assert.ok((await world.restored(backup.id)).equals(world.content));
  });
});

test('an instance that is off is backed up; what is recorded goes on, until it is dropped', async (t) => {
  const world = await openWorld(t);
  const { agent, outside } = world.host;
  const hypervisor = { act: (_: string, work: (connection: typeof outside) => unknown) => work(outside) };
  const ref = () => outside.domains.lookupByUuid(world.instance.uuid);
  const drop = async () =>
    dropCheckpoints({ hypervisor } as unknown as Parameters<typeof dropCheckpoints>[0], await ref());
  const names = async () => (await outside.domains.listCheckpoints(await ref())).map(({ name }) => name).sort();
  await agent.applyInstance(world.instance);
  await world.write(0, mib, 0x11);
  const warm = await world.backUp();
  await world.write(7 * mib, mib, 0x77);
  await agent.applyInstance({ ...world.instance, ...off, generation: 2 });
  const cold = await world.backUp();
  assert.equal(cold.fullReason, 'off');
  assert.ok((await world.restored(cold.id)).equals(world.content));
  assert.deepEqual(await names(), [checkpointName(warm.id)]);
  assert.equal(await drop(), 1);
  assert.deepEqual(await names(), []);
  assert.ok((await readDisk(await world.rootFile())).equals(world.content));

  await agent.applyInstance({ ...world.instance, generation: 3 });
  const running = await world.backUp({ parent: { id: warm.id, disks: warm.disks } });
  assert.equal(running.fullReason, 'chain-broken');
  assert.deepEqual(await names(), [checkpointName(running.id)]);
  assert.equal(await drop(), 1);
  assert.deepEqual(await names(), []);
});

test('a machine of which changes are recorded is hibernated, grown and renamed as any other', async (t) => {
  const world = await openWorld(t);
  const { agent, outside } = world.host;
  let generation = 1;
  const apply = (changes: Partial<DesiredInstance> = {}) => {
    generation += 1;
    return agent.applyInstance({ ...world.instance, ...changes, generation });
  };
  await agent.applyInstance(world.instance);
  await world.backUp();
  await world.write(0, mib, 0x11);
  assert.equal((await apply({ power: { state: 'hibernated' } })).state, 'hibernated');
  assert.equal((await apply()).state, 'running');
  const woken = await world.backUp();
  assert.deepEqual([woken.fullReason, woken.disks[0]?.dataBytes], [null, mib]);

  const rootDisk = { ...world.instance.rootDisk, sizeBytes: 2 * diskBytes };
  await apply({ rootDisk });
  const grown = await world.backUp();
  assert.equal(grown.fullReason, 'disks-changed');
  assert.equal(grown.disks[0]?.sizeBytes, 2 * diskBytes);

  await apply({ rootDisk, ...off });
  const domainName = `${world.instance.domainName}x`;
  await apply({ rootDisk, ...off, domainName });
  assert.equal((await outside.domains.lookupByUuid(world.instance.uuid)).name, domainName);
  await apply({ rootDisk, domainName });
  await world.write(0, mib, 0x22);
  const renamed = await world.backUp();
  assert.deepEqual([renamed.fullReason, renamed.disks[0]?.dataBytes], [null, mib]);
  assert.ok((await world.restored(renamed.id)).subarray(0, diskBytes).equals(world.content));
});

test('the limit of a store holds for what is read of the guest too', async (t) => {
  const world = await BackupWorld.open(host, store, 256 * mib);
  t.after(() => world.close());
  await world.host.agent.applyInstance(world.instance);
  await world.write(0, 256 * mib, 0x11);
  const limitBytesPerSecond = 64 * 1024;
  let seen: number | undefined;
  const agent = await world.host.openAgent({
    hook: async (step) => {
      if (step !== 'backup-begun') return;
      const { domains } = world.host.outside;
      const job = await domains.blockJobInfo(await domains.lookupByUuid(world.instance.uuid), 'vda');
      seen = job?.bandwidthBytesPerSecond;
      throw new Error('seen enough');
    },
  });
  // On a machine that has a lot else to do all may have been read before anybody could say how fast.
  for (let attempt = 0; seen === undefined && attempt < 5; attempt++) {
    const desired = world.desired({ store: { ...store, limitBytesPerSecond } });
    await assert.rejects(agent.makeBackup(desired), /seen enough/);
    await agent.endBackup({ ...desired, made: false });
  }
  assert.equal(seen, limitBytesPerSecond);
});

test('single files are read from a backup of a disk with a file system, and links lead nowhere else', async (t) => {
  const world = await openWorld(t);
  const { agent, cloudId, storagePath } = world.host;
  const tree = join(storagePath, 'tree');
  await mkdir(join(tree, 'etc'), { recursive: true });
  await mkdir(join(tree, 'usr'));
  await writeFile(join(tree, 'etc/hostname'), 'web\n');
  // More than a piece, and no whole number of blocks.
  const large = randomBytes(8 * mib + 1234);
  await writeFile(join(tree, 'large'), large);
  await symlink('../../../../etc/shadow', join(tree, 'etc/outside'));
  const image = join(storagePath, 'fs.raw');
  await runCommand('mke2fs', ['-q', '-t', 'ext4', '-d', tree, image, '14m'], { package: 'e2fsprogs' });
  await chmod(image, 0o644);
  await agent.applyInstance(world.instance);
  await world.writeFrom(image, 0, 14 * mib);
  const backup = await world.backUp();
  const id = newId('restore');
  const disk = world.instance.rootDisk.id;
  await agent.fetchRestore({ id, cloudId, store, disks: [{ id: disk, chain: backup.disks }], hidesBase: false });
  const read = (path: string, offset = 0) => agent.readRestoredPath({ id, cloudId, disk, path, offset });
  const folder = await read('/');
  assert.ok(folder.kind === 'folder' && folder.entries.some(({ name, kind }) => name === 'etc' && kind === 'folder'));
  const file = await read('/etc/hostname');
  assert.deepEqual(file, {
    ...{ kind: 'file', sizeBytes: 4, truncated: false },
    content: Buffer.from('web\n').toString('base64'),
  });
  const pieces: Buffer[] = [];
  for (let isMore = true, offset = 0; isMore; offset = Buffer.concat(pieces).length) {
    const piece = await read('/large', offset);
    assert.ok(piece.kind === 'file' && piece.sizeBytes === large.length);
    pieces.push(Buffer.from(piece.content, 'base64'));
    isMore = piece.truncated;
  }
  assert.ok(pieces.length > 1 && Buffer.concat(pieces).equals(large));
  await assert.rejects(read('/etc/outside'), { code: 'NotFound' });
  await agent.endRestore({ id, cloudId });
  await assert.rejects(read('/'), { code: 'NotFound' });
});

test('a snapshot ends a chain, and a disk of several layers is backed up as the guest sees it', async (t) => {
  const world = await openWorld(t);
  const { agent, cloudId } = world.host;
  const { id: instanceId, uuid, domainName, rootDisk } = world.instance;
  const snapshot = { id: newId('snapshot'), cloudId, instance: { id: instanceId, uuid, domainName } };
  const uefi = { ...world.instance, firmware: 'uefi' as const, tpm: true };
  await agent.applyInstance(uefi);
  await world.write(0, mib, 0x11);
  await world.backUp();
  await agent.applySnapshot({ ...snapshot, name: 'before', memory: false, mustExist: false, keepsake: {} });
  await world.write(mib, mib, 0x22);
  const layered = await world.backUp();
  assert.equal(layered.fullReason, 'chain-broken');
  await world.write(2 * mib, mib, 0x33);
  const next = await world.backUp();
  assert.deepEqual([next.fullReason, next.disks[0]?.dataBytes], [null, mib]);
  assert.ok((await world.restored(next.id)).equals(world.content));
  const { files } = await agent.readBackupSettings(store, next.settingsSnapshotId);
  assert.deepEqual(Object.keys(files).sort(), ['nvram-uefi.fd', 'seed.iso', 'tpm/tpm2/tpm2-00.permall']);

  await agent.applyInstance({ ...uefi, ...off, generation: 2 });
  const paths = [
    join(host.storagePath, 'instances', instanceId, 'nvram-uefi.fd'),
    join(tpmStatePath(uuid), 'tpm2', 'tpm2-00.permall'),
  ];
  const machine = () => Promise.all(paths.map((path) => readFile(path)));
  const kept = await machine();
  const cold = await world.backUp();
  const later = paths.map((path) => Buffer.from(`later than ${path}`));
  for (const [at, path] of paths.entries()) await writeFile(path, later[at]!);
  assert.ok((await world.restored(cold.id)).equals(world.content));
  const restore = { id: newId('restore'), cloudId, instance: { id: instanceId, uuid } };
  const disks = [{ id: rootDisk.id, role: 'root' as const, fetched: rootDisk.id }];
  const { settingsSnapshotId } = cold;
  const fetched = { cloudId, store, settingsSnapshotId, disks: [{ id: rootDisk.id, chain: cold.disks }] };
  await agent.fetchRestore({ ...fetched, ...restore, hidesBase: true });
  await assert.rejects(agent.swapDisks({ ...restore, disks }), { code: 'Conflict' }, 'the snapshot would be lost');
  await agent.deleteSnapshot(snapshot);
  await agent.swapDisks({ ...restore, disks });
  assert.ok((await readDisk(await world.rootFile())).equals(world.content));
  assert.deepEqual(await machine(), kept, 'what the machine keeps beside its disks comes with them');
  await agent.swapDisks({ ...restore, disks });
  await agent.swapDisksBack({ ...restore, disks });
  assert.deepEqual(await machine(), later);
  await agent.endRestore(restore);

  const as = { id: newId('restore'), disk: rootDisk.id };
  await agent.fetchRestore({ ...fetched, id: as.id, hidesBase: false });
  const other = host.instance(host.network(), newId('image'), { nics: [], firmware: 'uefi', tpm: true });
  await agent.applyInstance({ ...other, ...off, rootDisk: { ...other.rootDisk, imageId: null, restored: as } });
  assert.deepEqual(await readFile(join(host.storagePath, 'instances', other.id, 'nvram-uefi.fd')), kept[0]);
  assert.equal(await exists(tpmStatePath(other.uuid)), false, 'it gets a TPM of its own');
  await agent.deleteInstance(other);
});

test('a disk of a backup takes the place of none that is raw', async () => {
  const { agent, cloudId } = host;
  const { id: instanceId, uuid } = host.instance(host.network(), newId('image'));
  const id = newId('volume');
  const volume = { id, cloudId, generation: 1, name: 'data', sizeBytes: mib, mustExist: false, keepsake: {} };
  await agent.applyVolume({ ...volume, format: 'raw' });
  const disks = [{ id, role: 'data' as const, fetched: id }];
  const restore = { id: newId('restore'), cloudId, instance: { id: instanceId, uuid }, disks };
  await assert.rejects(agent.swapDisks(restore), { code: 'Conflict', detail: /cannot be replaced/ });
  await agent.deleteVolume({ id, cloudId });
});

/** For each file that is encrypted QEMU measures for two seconds of a processor how fast it derives keys. */
const slow = { timeout: 600_000 };

test(
  'an encrypted volume is backed up, on and off, not in the clear, and is one again in place and as a new one',
  slow,
  async (t) => {
    const world = await openWorld(t);
    const { agent, cloudId, outside } = host;
    const passphrase = 'c29tZXRoaW5nIHRoYXQgbm9ib2R5IGtub3dz';
    const base = { cloudId, generation: 1, name: 'secrets', sizeBytes: 8 * mib, mustExist: false, keepsake: {} };
    const volume = { ...base, id: newId('volume'), passphrase };
    await agent.applyVolume(volume);
    const instance = { ...world.instance, volumes: [{ id: volume.id, target: 'vdc', readOnly: false }] };
    await agent.applyInstance(instance);
    const write = (bytes: number[], from: number) =>
      writeInGuest(outside, instance.domainName, bytes, { from, device: `ua-${volume.id}` });
    const fileOf = (id: string) => join(host.storagePath, 'volumes', id, 'disk.qcow2');
    const read = (id: string, key: string) => readEncrypted([fileOf(id)], key, 4);
    await write([0xb1, 0xb1], 0);
    const full = await world.backUp();
    await write([0xb2], 1);
    // What is read of it lies there for as long as the store takes.
    const pushed: (number | undefined)[] = [];
    const looking = await host.openAgent({
      hook: async (step, id) => {
        if (step !== 'backup-pushed') return;
        const content = await readFile(join(host.storagePath, 'backups', id, 'vdc.qcow2'));
        pushed.push(content.indexOf(Buffer.alloc(64, 0xb2)), content.readUInt32BE(32));
      },
    });
    await assert.rejects(world.backUp({}, looking), { code: 'NotFound', detail: /no passphrase/ });
    await looking.applyVolume({ ...volume, mustExist: true });
    const second = await world.backUp({}, looking);
    assert.deepEqual(pushed, [-1, 2], 'it is encrypted');
    const dataOf = ({ disks }: typeof full) => disks.find(({ id }) => id === volume.id)?.dataBytes;
    assert.deepEqual(
      [full.fullReason, dataOf(full), second.fullReason, dataOf(second)],
      ['first', 131_072, null, 65_536],
    );
    await write([0xb3], 2);
    await agent.applyInstance({ ...instance, ...off, generation: 2 });
    const cold = await world.backUp();
    assert.deepEqual([cold.fullReason, dataOf(cold)], ['off', 3 * 65_536]);

    const fetch = async (id: RestoreId, backup: typeof full) => {
      const chain = world.chainOf(backup.id, volume.id);
      await agent.fetchRestore({ id, cloudId, store, disks: [{ id: volume.id, chain }], hidesBase: true });
    };
    const [anew, inPlace] = [newId('restore'), newId('restore')];
    const own = 'of the new one alone';
    const other = { ...base, id: newId('volume'), passphrase: own, restored: { id: anew, disk: volume.id } };
    await fetch(anew, cold);
    assert.equal((await agent.applyVolume(other)).encrypted, true);
    assert.deepEqual(await read(other.id, own), [0xb1, 0xb2, 0xb3, 0]);
    await fetch(inPlace, second);
    const disks = [{ id: volume.id, role: 'data' as const, fetched: volume.id }];
    const swap = { id: inPlace, cloudId, instance: { id: instance.id, uuid: instance.uuid }, disks };
    await agent.swapDisks(swap);
    await agent.endRestore(swap);
    assert.deepEqual(await read(volume.id, passphrase), [0xb1, 0xb2, 0, 0]);
    assert.equal((await agent.applyInstance({ ...instance, generation: 3 })).state, 'running');
    await agent.deleteInstance(instance);
    for (const { id } of [volume, other]) await agent.deleteVolume({ id, cloudId });
  },
);

test('a store that others work with is waited for, one that is read-only is read, and what is damaged or gone is not waited for', async (t) => {
  const world = await BackupWorld.open(host);
  t.after(() => world.close());
  const { agent, cloudId } = host;
  const { store } = world;
  assert.ok(store.place.kind === 'directory');
  const { path } = store.place;
  await agent.applyInstance(world.instance);
  await world.writeFrom('/dev/urandom', 0, mib);
  await world.backUp();

  // A backup of another cloud, which is being made.
  const env = { ...process.env, RESTIC_PASSWORD: store.password };
  const args = ['--repo', path, 'backup', '--quiet', '--stdin', '--stdin-filename', 'theirs', '--tag', 'cloud=another'];
  const theirs = spawn('restic', args, { env, stdio: ['pipe', 'ignore', 'inherit'] });
  const over = once(theirs, 'exit');
  t.after(() => theirs.kill('SIGKILL'));
  await eventually('they have a lock', async () => (await readdir(join(path, 'locks'))).length > 0 || undefined);
  let isChecked = false;
  const checked = agent.checkBackupStore(store, { readPercent: 0 }).finally(() => {
    isChecked = true;
  });
  checked.catch(() => undefined);
  assert.ok((await agent.listStoreSnapshots(store)).length > 0, 'what only reads goes on');
  assert.equal(isChecked, false);
  theirs.stdin.end('content');
  await over;
  assert.equal((await checked).snapshots, 3);

  const { disks } = world.made[0]!.backup;
  const fetched = async (chain: readonly StoredDisk[]) => {
    const id = newId('restore');
    const wanted = [{ id: world.instance.rootDisk.id, chain: [...chain] }];
    await agent
      .fetchRestore({ id, cloudId, store, disks: wanted, hidesBase: false })
      .finally(() => agent.endRestore({ id, cloudId }));
  };
  await runCommand('mount', ['--bind', path, path]);
  await runCommand('mount', ['-o', 'remount,bind,ro', path]);
  try {
    await fetched(disks);
  } finally {
    await runCommand('umount', [path]);
  }
  await assert.rejects(fetched([{ ...disks[0]!, snapshotId: 'f'.repeat(64) }]), {
    ...{ code: 'BackupUnusable', detail: /ffffffff.* it is gone/ },
  } as object);

  const files = await readdir(join(path, 'data'), { recursive: true, withFileTypes: true });
  const packs = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  const sizes = await Promise.all(packs.map(async (pack) => (await stat(pack)).size));
  await flipByte(packs[sizes.indexOf(Math.max(...sizes))]!, 1000);
  await assert.rejects(fetched(disks), { code: 'BackupUnusable', detail: /cannot give it/ } as object);
  await assert.rejects(agent.checkBackupStore(store, { readPercent: 100 }), {
    ...{ code: 'BackupUnusable', detail: /damaged/ },
  } as object);
});

async function flipByte(path: string, offset: number): Promise<void> {
  await chmod(path, 0o600);
  await using file = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, offset);
  await file.write(Buffer.from([byte[0]! ^ 1]), 0, 1, offset);
}
