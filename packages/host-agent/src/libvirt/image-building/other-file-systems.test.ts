// Looking into disks that no program of the host reads, through the appliance: XFS as of Rocky and Alma, Btrfs with subvolumes as
// of Fedora and openSUSE, and LVM. The disks are made by the host's kernel, which mounts what the test itself has made.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { type ImageId, newId } from '@virga/contract/ids';
import { Appliance } from '../../disk-contents/appliance.ts';
import { openRawDisk } from '../../disk-contents/raw-disk.ts';
import { SystemContents } from '../../disk-contents/system-contents.ts';
import { runCommand } from '../../run-command.ts';
import { type LoopKind, mountLoop } from '../testing/loop-file-system.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';

const applianceFolder = process.env.VIRGA_TEST_APPLIANCE ?? '';
const mib = 1024 ** 2;
const partMib = { xfs: 300, btrfs: 128 };
const secret = 'secret of one machine alone '.repeat(400);

let host: TestHost;
let folder: string;
before(async () => {
  assert.ok(existsSync(applianceFolder), 'VIRGA_TEST_APPLIANCE names the appliance');
  host = await openTestHost(87);
  folder = await mkdtemp(join(tmpdir(), 'virga-file-systems.'));
  await chmod(folder, 0o711);
});
after(async () => {
  await host.close();
  await rm(folder, { recursive: true });
});

/** What a machine with systemd and a boot loader of entries leaves. */
const system: Record<string, string> = {
  '/etc/os-release': 'PRETTY_NAME="Rocky Linux 9.5"\n',
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
  '/etc/machine-id': '0123456789abcdef0123456789abcdef\n',
  '/etc/ssh/ssh_host_ed25519_key': secret,
  '/root/.bash_history': secret,
  '/var/log/messages': secret,
  '/usr/lib/systemd/systemd': '',
  '/usr/lib/systemd/system/fstrim.timer': '[Timer]\n',
  "/srv/it's a name": 'kept',
};

async function fill(root: string, files: Record<string, string>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

/** A part of a disk, made by the host. @returns undefined where its kernel does not have the file system */
async function part(t: TestContext, kind: LoopKind & keyof typeof partMib, make: (root: string) => Promise<void>) {
  const mounted = await mountLoop(kind, partMib[kind]);
  if (typeof mounted === 'string') return void t.skip(mounted);
  const path = join(folder, `${kind}-${newId('volume')}`);
  try {
    await make(mounted.path);
  } finally {
    await runCommand('umount', [mounted.path]);
  }
  await rename(mounted.file, path);
  await rm(dirname(mounted.path), { recursive: true });
  return path;
}

async function imageOf(t: TestContext, parts: readonly string[], sizeMib: number): Promise<ImageId> {
  const disk = join(folder, 'disk.raw');
  await writeFile(disk, '');
  await truncate(disk, (1 + parts.length * sizeMib + 1) * mib);
  const table = parts.map((_, at) => `start=${1 + at * sizeMib}MiB, size=${sizeMib}MiB`).join('\\n');
  await runCommand('sh', ['-c', `printf 'label: gpt\\n${table}\\n' | sfdisk -q "$1"`, 'sh', disk]);
  for (const [at, path] of parts.entries()) {
    const place = [`if=${path}`, `of=${disk}`, 'bs=1M', `seek=${1 + at * sizeMib}`];
    await runCommand('dd', [...place, 'conv=notrunc,sparse', 'status=none']);
  }
  const path = join(folder, 'disk.qcow2');
  await runCommand('qemu-img', ['convert', '-q', '-O', 'qcow2', disk, path]);
  const source = { kind: 'file' as const, path };
  const image = { id: newId('image'), cloudId: host.cloudId, generation: 1, source, format: 'qcow2' as const };
  await host.agent.importImage(image);
  t.after(() => host.agent.deleteImage(image));
  return image.id;
}

const isFilled = (bytes: Buffer): boolean => bytes.includes(secret.slice(0, 56));

test('XFS with a /boot of its own is sealed: nothing of what was removed can be read, and labels of SELinux stay', async (t) => {
  const label = (path: string, value: string) =>
    runCommand('setfattr', ['-h', '-n', 'security.selinux', '-v', value, path]);
  const root = await part(t, 'xfs', async (top) => {
    await fill(top, { ...system, '/etc/fstab': 'UUID=1 / xfs defaults 0 0\nLABEL=boot /boot xfs defaults 0 0\n' });
    await mkdir(join(top, 'boot'));
    await mkdir(join(top, 'etc/systemd/system/timers.target.wants'), { recursive: true });
    await label(join(top, 'etc/machine-id'), 'a:machine_id');
    await label(join(top, 'etc/systemd/system/timers.target.wants'), 'a:unit');
  });
  const boot = await part(t, 'xfs', async (top) => {
    await fill(top, { '/loader/entries/rocky.conf': 'title Rocky\noptions root=UUID=1 ro\n' });
  });
  if (root === undefined || boot === undefined) return;
  await runCommand('xfs_admin', ['-L', 'boot', boot]);
  const image = await imageOf(t, [root, boot], partMib.xfs);

  const order = {
    id: newId('image'),
    cloudId: host.cloudId,
    from: { kind: 'image', imageId: image },
    seal: true,
  } as const;
  t.after(() => host.agent.deleteImage(order));
  const { record, path } = await host.agent.buildImage(order);
  assert.deepEqual([record.report.system, record.report.fileSystem], ['Rocky Linux 9.5', 'xfs']);
  for (const expected of [
    /machine-id/,
    /ssh_host/,
    /bash_history/,
    /Emptied one file below \/var\/log/,
    /ttyS0/,
    /fstrim\.timer/,
  ])
    assert.match(record.sealed.join('\n'), expected);
  const left = record.report.findings.filter(({ verdict, repair }) => verdict !== 'ok' && repair !== null);
  assert.deepEqual(left, []);

  const raw = join(folder, 'sealed.raw');
  await runCommand('qemu-img', ['convert', '-q', '-O', 'raw', path, raw]);
  assert.ok(isFilled(await readFile(root)), 'it was there');
  assert.ok(!isFilled(await readFile(raw)));
  const sealed = join(folder, 'sealed.xfs');
  const cut = [`if=${raw}`, `of=${sealed}`, 'bs=1M', 'skip=1', `count=${partMib.xfs}`];
  await runCommand('dd', [...cut, 'conv=sparse', 'status=none']);
  await runCommand('xfs_repair', ['-n', sealed]);
  const top = join(folder, 'top');
  await mkdir(top);
  await runCommand('mount', ['-o', 'loop,ro', sealed, top]);
  try {
    const labelOf = async (path: string) =>
      (await runCommand('getfattr', ['-h', '--only-values', '-n', 'security.selinux', join(top, path)])).replace(
        '\0',
        '',
      );
    assert.equal(await readFile(join(top, "srv/it's a name"), 'utf8'), 'kept');
    assert.equal(await labelOf('etc/machine-id'), 'a:machine_id');
    assert.equal(await labelOf('etc/systemd/system/timers.target.wants/fstrim.timer'), 'a:unit');
  } finally {
    await runCommand('umount', [top]);
  }
});

test('Btrfs is looked into in the subvolumes that its fstab names', async (t) => {
  const disk = await part(t, 'btrfs', async (top) => {
    for (const name of ['root', 'home', 'var']) await runCommand('btrfs', ['subvolume', 'create', join(top, name)]);
    await fill(join(top, 'root'), {
      ...Object.fromEntries(Object.entries(system).filter(([path]) => !path.startsWith('/var/'))),
      '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\nfedora:x:1000:1000::/home/fedora:/bin/bash\n',
      '/etc/fstab':
        'LABEL=f / btrfs subvol=root 0 0\nLABEL=f /home btrfs subvol=home,compress=zstd:1 0 0\nLABEL=f /var btrfs subvol=/var 0 0\n',
    });
    for (const name of ['home', 'var']) await mkdir(join(top, 'root', name));
    await symlink('../../var/log', join(top, 'root/etc/logs'));
    await fill(top, { '/home/fedora/.bash_history': secret, '/var/log/messages': secret });
    await runCommand('btrfs', ['filesystem', 'label', top, 'f']);
  });
  if (disk === undefined) return;
  const report = await host.agent.lintImage(host.cloudId, {
    kind: 'image',
    id: await imageOf(t, [disk], partMib.btrfs),
  });
  assert.deepEqual([report.system, report.fileSystem], ['Rocky Linux 9.5', 'btrfs']);
  const seen = Object.fromEntries(report.findings.map((finding) => [finding.id, finding.seen]));
  assert.match(seen['shell-history'] ?? '', /\/home\/fedora\/\.bash_history/);
  assert.match(seen.logs ?? '', /\/var\/log\/messages/);
  assert.match(seen['clean-file-system'] ?? '', /btrfs .* unmounted/);
});

test('a /var with a file system of its own is looked into too, when the root is one that the host reads', async (t) => {
  const ext = async (name: string, files: Record<string, string>) => {
    const [tree, path] = [join(folder, `${name}-tree`), join(folder, `${name}.ext4`)];
    await fill(tree, files);
    await writeFile(path, '');
    await truncate(path, 24 * mib);
    await runCommand('mke2fs', ['-q', '-t', 'ext4', '-L', name, '-d', tree, path]);
    return path;
  };
  const { '/var/log/messages': log = '', ...rest } = system;
  const fstab = 'LABEL=top / ext4 defaults 0 1\nLABEL=var /var ext4 defaults 0 2\n';
  const root = await ext('top', { ...rest, '/etc/fstab': fstab, '/var/.keep': '' });
  const image = await imageOf(t, [root, await ext('var', { '/log/messages': log })], 24);
  const report = await host.agent.lintImage(host.cloudId, { kind: 'image', id: image });
  assert.deepEqual([report.system, report.fileSystem], ['Rocky Linux 9.5', 'ext4']);
  assert.match(report.findings.find(({ id }) => id === 'logs')?.seen ?? '', /\/var\/log\/messages/);
});

test('a root on LVM is found, and changed', async (t) => {
  const path = join(folder, 'lvm.raw');
  await writeFile(path, '');
  await truncate(path, 64 * mib);
  const disk = await openRawDisk({ path, format: 'raw' }, { folder, writable: true });
  t.after(() => disk.close());
  const appliance = await Appliance.start(disk, { folder: await reachable(applianceFolder), acceleration: 'tcg' });
  await appliance.run(`
    set -e
    for module in /modules/later/dm-mod.ko; do insmod "$module"; done
    config='activation { udev_sync = 0 udev_rules = 0 verify_udev_operations = 0 }'
    lvm pvcreate /dev/vda && lvm vgcreate group /dev/vda
    lvm lvcreate --config "$config" --zero n --wipesignatures n -n root -L 20M group
    lvm vgscan --mknodes
    mke2fs /dev/mapper/group-root && mount -t ext2 /dev/mapper/group-root /sysroot
    mkdir -p /sysroot/etc /sysroot/usr/old/er && echo '/dev/group/swap none swap' >/sysroot/etc/fstab
    umount /sysroot && lvm vgchange -an --config "$config"`);
  const contents = await SystemContents.open(appliance);
  assert.ok(contents instanceof SystemContents);
  assert.equal(contents.fileSystem, 'ext2');
  await contents.write('/etc/new/file', 'content', { mode: 0o640, uid: 5, gid: 6 });
  await contents.link('/etc/link', 'new/file');
  await contents.remove('/usr/old');
  await contents.settle();
  assert.equal((await contents.read('/etc/link'))?.toString(), 'content');
  const { mode, uid, gid } = (await contents.stat('/etc/link'))!;
  assert.deepEqual([mode, uid, gid], [0o640, 5, 6]);
  assert.deepEqual(
    (await contents.list('/')).map(({ name }) => name),
    ['etc', 'lost+found', 'usr'],
  );
  assert.deepEqual(await contents.list('/usr'), []);
  assert.equal(await contents.read('/etc/link/beyond'), undefined);
  await assert.rejects(contents.write('/etc/link/beyond', '', { mode: 0o644 }), { code: 'ImageUnusable' });
});

/** Where the sandbox can read it, wherever the cache of the tests is. */
async function reachable(from: string): Promise<string> {
  const to = join(folder, 'appliance');
  await runCommand('cp', ['-r', from, to]);
  return to;
}
