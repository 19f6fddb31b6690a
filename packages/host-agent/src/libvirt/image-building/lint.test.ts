// Looking into real images and sealing them: the starter image, and a copy of it that a machine might have left behind.
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { ImageOrder, LintReport } from '@virga/contract/agent/image-building';
import { type ImageId, newId } from '@virga/contract/ids';
import type { DiskContents } from '../../disk-contents/disk-contents.ts';
import { openContents } from '../../disk-contents/open-contents.ts';
import { openRawDisk } from '../../disk-contents/raw-disk.ts';
import { runCommand } from '../../run-command.ts';
import { openTestHost, type TestHost } from '../testing/test-host.ts';

const starter = process.env.VIRGA_TEST_STARTER_IMAGE ?? '';
const secret = `secret ${'of one machine alone '.repeat(300)}`;

let host: TestHost;
let folder: string;
before(async () => {
  host = await openTestHost(84);
  folder = await mkdtemp(join(tmpdir(), 'virga-lint-test.'));
  await chmod(folder, 0o711);
});
after(async () => {
  await host.close();
  await rm(folder, { recursive: true });
});

const verdicts = ({ findings }: LintReport, verdict: string) =>
  findings.filter((finding) => finding.verdict === verdict).map(({ id }) => id);
const lint = (id: ImageId) => host.agent.lintImage(host.cloudId, { kind: 'image', id });
const seal = (imageId: ImageId): ImageOrder => ({
  ...{ id: newId('image'), cloudId: host.cloudId },
  ...{ from: { kind: 'image', imageId }, seal: true },
});

async function imported(path: string): Promise<DesiredImage> {
  const source = { kind: 'file' as const, path };
  const image = { id: newId('image'), cloudId: host.cloudId, generation: 1, source, format: 'qcow2' as const };
  await host.agent.importImage(image);
  return image;
}

/** A copy of the starter image, changed from outside. */
async function changed(name: string, change: (root: DiskContents) => Promise<void>, fuse = true): Promise<string> {
  const path = join(folder, `${name}.qcow2`);
  await runCommand('qemu-img', ['convert', '-q', '-O', 'qcow2', starter, path]);
  const work = join(folder, name);
  await mkdir(work, { mode: 0o711 });
  const disk = await openRawDisk({ path, format: 'qcow2' }, { folder: work, writable: true, fuse });
  let file = { path, format: 'qcow2' as 'qcow2' | 'raw' };
  try {
    const opened = await openContents(disk);
    assert.ok('root' in opened);
    await change(opened.root);
    await opened.root.settle();
  } finally {
    file = await disk.close();
  }
  if (file.path !== path)
    await runCommand('qemu-img', ['convert', '-q', '-f', file.format, '-O', 'qcow2', file.path, path]);
  return path;
}

test('the starter image has nothing to seal', async (t) => {
  const image = await imported(starter);
  t.after(() => host.agent.deleteImage(image));
  const report = await lint(image.id);
  assert.deepEqual([report.system, report.fileSystem], ['Virga starter', 'ext4']);
  assert.deepEqual([verdicts(report, 'failure'), verdicts(report, 'warning')], [[], []]);
  assert.deepEqual(verdicts(report, 'advice'), ['trim', 'basic-tools']);
});

const left: Record<string, [path: string, content: string]> = {
  'machine-id': ['/etc/machine-id', '0123456789abcdef0123456789abcdef\n'],
  'ssh-host-keys': ['/etc/dropbear/dropbear_ed25519_host_key', secret],
  'random-seed': ['/var/lib/systemd/random-seed', 'seed'],
  'authorized-keys': ['/root/.ssh/id_ed25519', secret],
  logs: ['/var/log/messages', 'somebody was here\n'],
  'shell-history': ['/root/.ash_history', `mysql --password='${secret}'\n`],
  'dhcp-leases': ['/var/lib/dhcp/dhclient.eth0.leases', 'lease {}\n'],
  'cloud-init-state': ['/var/lib/virga/instance-id', 'i-1\n'],
  'temporary-files': ['/var/tmp/package.deb', 'x'],
  'persistent-net-rules': ['/etc/udev/rules.d/70-persistent-net.rules', 'SUBSYSTEM=="net"\n'],
  'nic-configuration': ['/etc/network/interfaces', 'iface eth0 inet dhcp\n  hwaddress ether 52:54:00:00:00:01\n'],
};

test('what a machine has left is found, and is not in a sealed copy, not even in blocks that no file has', async (t) => {
  const path = await changed('used', async (root) => {
    for (const [file, content] of Object.values(left)) await root.write(file, content, { mode: 0o600, uid: 5, gid: 6 });
    await root.write('/etc/shadow', 'root:$6$salt$hash:1:0:99999:7:::\nguest::1:0:99999:7:::\n', { mode: 0o600 });
    await root.write('/swapfile', 'swap', { mode: 0o600 });
    await root.write('/etc/fstab', '/swapfile none swap sw 0 0\nLABEL=root / ext4 defaults 0 1\n', { mode: 0o644 });
    const loader = (await root.read('/boot/grub/grub.cfg'))?.toString() ?? '';
    await root.write('/boot/grub/grub.cfg', loader.replaceAll('console=ttyS0,115200', ''), { mode: 0o644 });
  });
  const image = await imported(path);
  t.after(() => host.agent.deleteImage(image));
  const before = await lint(image.id);
  const found = [...verdicts(before, 'failure'), ...verdicts(before, 'warning'), ...verdicts(before, 'advice')];
  const expected = [...Object.keys(left), 'passwords', 'swap', 'serial-console', 'trim', 'basic-tools'];
  assert.deepEqual(found.toSorted(), expected.toSorted());
  for (const { id, repair } of before.findings.filter((one) => !['ok', 'advice'].includes(one.verdict)))
    assert.ok(repair, id);

  const order = seal(image.id);
  t.after(() => host.agent.deleteImage(order));
  const built = await host.agent.buildImage(order);
  const after = built.record.report;
  assert.deepEqual([verdicts(after, 'failure'), verdicts(after, 'warning')], [[], []], JSON.stringify(after));
  assert.deepEqual(await lint(order.id), after);
  assert.ok(built.record.sealed.length >= expected.length - 2, built.record.sealed.join('\n'));

  const raw = join(folder, 'sealed.raw');
  await runCommand('qemu-img', ['convert', '-q', '-O', 'raw', built.path, raw]);
  const bytes = await readFile(raw);
  assert.equal(bytes.includes('of one machine alone of one machine alone'), false);
  assert.equal(bytes.includes('$6$salt$hash'), false);
  await runCommand('sfdisk', ['--verify', raw]);
  await rm(raw);
  assert.deepEqual(await lint(image.id), before, 'the image itself never changes');
});

test('sealing keeps what is not of one machine alone', async (t) => {
  const path = await changed('kept', async (root) => {
    await root.write('/var/log/wtmp', 'x', { mode: 0o664, uid: 0, gid: 43 });
    await root.write('/etc/network/interfaces', 'auto eth0\niface eth0 inet dhcp\n  hwaddress ether 1\n', {
      mode: 0o640,
    });
    await root.write('/etc/fstab', '# root\nLABEL=root / ext4 defaults 0 1\n/dev/vdb none swap sw 0 0\n', {
      mode: 0o644,
    });
  });
  const image = await imported(path);
  t.after(() => host.agent.deleteImage(image));
  const order = seal(image.id);
  t.after(() => host.agent.deleteImage(order));
  const built = await host.agent.buildImage(order);
  const work = join(folder, 'look');
  await mkdir(work, { mode: 0o711 });
  const disk = await openRawDisk({ path: built.path, format: 'qcow2' }, { folder: work, writable: false, fuse: false });
  try {
    const opened = await openContents(disk);
    assert.ok('root' in opened);
    const { root } = opened;
    const wtmp = await root.stat('/var/log/wtmp');
    assert.deepEqual([wtmp?.sizeBytes, wtmp?.mode, wtmp?.gid], [0, 0o664, 43]);
    assert.equal((await root.read('/etc/network/interfaces'))?.toString(), 'auto eth0\niface eth0 inet dhcp\n');
    assert.equal((await root.stat('/etc/network/interfaces'))?.mode, 0o640);
    const fstab = (await root.read('/etc/fstab'))?.toString();
    assert.equal(fstab, '# root\nLABEL=root / ext4 defaults 0 1\n# /dev/vdb none swap sw 0 0\n');
  } finally {
    await disk.close();
  }
});

test('a file system that has the whole disk is found and sealed, and keeps its boot sector, which looks like a table of partitions', async (t) => {
  const tree = join(folder, 'alpine');
  await mkdir(join(tree, 'etc'), { recursive: true });
  await mkdir(join(tree, 'usr'));
  await writeFile(join(tree, 'etc/os-release'), 'PRETTY_NAME="Alpine Linux v3.24"\n');
  await mkdir(join(tree, 'root'));
  await writeFile(join(tree, 'root/.ash_history'), 'typed on one machine');
  const raw = join(folder, 'alpine.raw');
  await writeFile(raw, '');
  await truncate(raw, 16 * 1024 ** 2);
  await runCommand('mke2fs', ['-q', '-t', 'ext4', '-d', tree, raw]);
  const sector = Buffer.alloc(512);
  // What SYSLINUX has there is read as four parts, of which the first begins beyond the end of the disk.
  for (const [entry, start] of [1_953_460_034, 0, 50_200_576, 924_335_794].entries()) {
    sector.writeUInt8(0x09, 446 + 16 * entry);
    sector.writeUInt8(0x16 + entry, 446 + 16 * entry + 4);
    sector.writeUInt32LE(start, 446 + 16 * entry + 8);
    sector.writeUInt32LE(1_953_460_034, 446 + 16 * entry + 12);
  }
  sector.writeUInt16LE(0xaa55, 510);
  await using disk = await open(raw, 'r+');
  await disk.write(sector, 0, 512, 0);
  assert.match(await runCommand('sfdisk', ['--json', raw]), /"label": ?"dos"/);
  const path = join(folder, 'alpine.qcow2');
  await runCommand('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', raw, path]);
  const image = await imported(path);
  t.after(() => host.agent.deleteImage(image));
  const order = seal(image.id);
  t.after(() => host.agent.deleteImage(order));
  const { record, path: built } = await host.agent.buildImage(order);
  assert.deepEqual([record.report.system, record.report.fileSystem], ['Alpine Linux v3.24', 'ext4']);
  assert.match(record.sealed.join('\n'), /\/root\/\.ash_history/);
  const sealed = join(folder, 'alpine-sealed.raw');
  await runCommand('qemu-img', ['convert', '-q', '-O', 'raw', built, sealed]);
  const boot = await readFile(sealed);
  assert.ok(boot.subarray(0, 512).equals(sector), 'its boot sector stays');
  assert.ok(!boot.includes('typed on one machine'));
});

test('what a machine had swapped out is not in a sealed copy', async (t) => {
  const tree = join(folder, 'swapped');
  for (const name of ['etc', 'usr']) await mkdir(join(tree, name), { recursive: true });
  const [raw, root] = [join(folder, 'swapped.raw'), join(folder, 'swapped.ext4')];
  for (const [path, mib] of [
    [raw, 16],
    [root, 8],
  ] as const) {
    await writeFile(path, '');
    await truncate(path, mib * 1024 ** 2);
  }
  await runCommand('mke2fs', ['-q', '-t', 'ext4', '-d', tree, root]);
  const table = 'label: gpt\\nstart=1MiB, size=8MiB\\nstart=9MiB, size=4MiB\\n';
  await runCommand('sh', ['-c', `printf '${table}' | sfdisk -q "$1"`, 'sh', raw]);
  await runCommand('dd', [`if=${root}`, `of=${raw}`, 'bs=1M', 'seek=1', 'conv=notrunc', 'status=none']);
  const swap = join(folder, 'swapped.swap');
  await writeFile(swap, '');
  await truncate(swap, 4 * 1024 ** 2);
  await runCommand('mkswap', ['--quiet', '--uuid', 'clear', '--label', 'ours', swap]);
  await runCommand('dd', [`if=${swap}`, `of=${raw}`, 'bs=1M', 'seek=9', 'conv=notrunc', 'status=none']);
  await using disk = await open(raw, 'r+');
  await disk.write('a password in memory', 10 * 1024 ** 2);
  const path = join(folder, 'swapped.qcow2');
  await runCommand('qemu-img', ['convert', '-q', '-f', 'raw', '-O', 'qcow2', raw, path]);
  const image = await imported(path);
  t.after(() => host.agent.deleteImage(image));
  const order = seal(image.id);
  t.after(() => host.agent.deleteImage(order));
  const built = await host.agent.buildImage(order);
  const sealed = join(folder, 'swapped-sealed.raw');
  await runCommand('qemu-img', ['convert', '-q', '-O', 'raw', built.path, sealed]);
  const bytes = await readFile(sealed);
  assert.ok(bytes.includes('SWAPSPACE2'), 'it can still be used for swap');
  assert.ok(!bytes.includes('a password in memory'));
});

test('a disk that was made to mislead is read as what it is, and links lead nowhere but into it', async (t) => {
  const path = await changed(
    'sly',
    async (root) => {
      await root.link('/etc/os-release', '/proc/../../../../etc/shadow');
      await root.link('/loop', '/loop');
      await root.link('/etc/machine-id', '/dev/null');
      await root.remove('/root');
      await root.link('/root', '/etc');
    },
    false,
  );
  const image = await imported(path);
  t.after(() => host.agent.deleteImage(image));
  const report = await lint(image.id);
  assert.equal(report.system, null);
  assert.equal(report.fileSystem, 'ext4');
});
