// Rules on disks of distributions that no image here is of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuestFiles } from './guest-files.ts';
import { lintRules } from './lint.ts';
import { MemoryContents } from './testing/memory-contents.ts';

const systemd = { '/usr/lib/systemd/systemd': '', '/usr/lib/systemd/system/serial-getty@.service': '' };

/** Looks by one rule, seals by it, and looks again. */
async function sealed(id: string, files: Record<string, string>, parts: { fileSystem: string }[] = []) {
  const root = new MemoryContents(files);
  const whole = parts.map(({ fileSystem }, index) => ({
    ...{ number: index + 1, offsetBytes: 0, sizeBytes: 1, name: null, label: null },
    fileSystem,
  }));
  const guest = new GuestFiles({
    root: root as never,
    boot: root,
    bootPath: '/boot',
    layout: { table: 'gpt', parts: whole },
  });
  const rule = lintRules.find((one) => one.id === id)!;
  const look = await rule.look(guest);
  await look.repair?.act();
  return { verdict: look.verdict, seen: look.seen, after: (await rule.look(guest)).verdict, files: root.files };
}

test('settings of one card go, and the file stays where it says more', async () => {
  const ifcfg = '/etc/sysconfig/network-scripts/ifcfg-eth0';
  const { verdict, after, files } = await sealed('nic-configuration', {
    [ifcfg]: 'DEVICE=eth0\nHWADDR=52:54:00:00:00:01\nUUID=1-2\nBOOTPROTO=dhcp\n',
    '/etc/sysconfig/network-scripts/ifcfg-lo': 'UUID=3\n',
    '/etc/netplan/50-cloud-init.yaml': 'network: {}\n',
    '/etc/netplan/60-own.yaml': 'network: {version: 2}\n',
    '/etc/NetworkManager/system-connections/lan.nmconnection': '[ethernet]\nmac-address=52:54:00:00:00:01\n',
    '/etc/systemd/network/10-dhcp.network': '[Match]\nName=eth*\n',
  });
  assert.deepEqual([verdict, after], ['warning', 'ok']);
  assert.deepEqual(files, {
    [ifcfg]: 'DEVICE=eth0\nBOOTPROTO=dhcp\n',
    '/etc/sysconfig/network-scripts/ifcfg-lo': 'UUID=3\n',
    '/etc/netplan/60-own.yaml': 'network: {version: 2}\n',
    '/etc/systemd/network/10-dhcp.network': '[Match]\nName=eth*\n',
  });
});

test('the serial console is added to every kernel, to what makes the next list of them, and somebody listens there', async () => {
  const { verdict, after, files } = await sealed('serial-console', {
    ...systemd,
    '/boot/grub/grub.cfg':
      'menuentry a {\n\tlinux\t/boot/vmlinuz-1 root=UUID=1 ro quiet\n}\n\tlinux /boot/vmlinuz-2 ro\n',
    '/boot/loader/entries/x.conf': 'title x\noptions root=UUID=1 ro\n',
    '/etc/default/grub': 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n',
  });
  assert.deepEqual([verdict, after], ['warning', 'ok']);
  const added = 'console=ttyS0,115200';
  assert.equal(
    files['/boot/grub/grub.cfg'],
    `menuentry a {\n\tlinux\t/boot/vmlinuz-1 root=UUID=1 ro quiet ${added}\n}\n\tlinux /boot/vmlinuz-2 ro ${added}\n`,
  );
  assert.equal(files['/boot/loader/entries/x.conf'], `title x\noptions root=UUID=1 ro ${added}\n`);
  assert.equal(files['/etc/default/grub'], `GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="${added}"\n`);
  assert.equal(
    files['/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service'],
    '/usr/lib/systemd/system/serial-getty@.service',
  );
});

test('where nothing makes host keys, a unit is added that does', async () => {
  const { verdict, after, files } = await sealed('ssh-keys-made', { ...systemd, '/usr/sbin/sshd': '' });
  assert.deepEqual([verdict, after], ['warning', 'ok']);
  assert.match(files['/etc/systemd/system/virga-host-keys.service'] ?? '', /ssh-keygen -A/);
});

test('what is there and turned off is turned on', async () => {
  const unit = '/usr/lib/systemd/system/qemu-guest-agent.service';
  const agent = await sealed('guest-agent', { ...systemd, '/usr/bin/qemu-ga': '', [unit]: '' });
  assert.deepEqual([agent.verdict, agent.after], ['warning', 'ok']);
  const cloudInit = await sealed('cloud-init', { '/usr/bin/cloud-init': '', '/etc/cloud/cloud-init.disabled': '' });
  assert.deepEqual([cloudInit.verdict, cloudInit.after], ['warning', 'ok']);
  const trim = await sealed('trim', { ...systemd, '/usr/lib/systemd/system/fstrim.timer': '' });
  assert.deepEqual([trim.verdict, trim.after], ['advice', 'ok']);
});

test('what cannot be done from outside is said, and nothing is done', async () => {
  assert.deepEqual((await sealed('guest-agent', systemd)).files, systemd);
  const swap = await sealed('swap', {}, [{ fileSystem: 'ext4' }, { fileSystem: 'swap' }]);
  assert.deepEqual([swap.verdict, swap.seen, swap.after], ['advice', 'Partition 2 is for swap.', 'advice']);
  assert.equal((await sealed('growroot', { '/usr/bin/growpart': '' })).verdict, 'warning');
  assert.equal((await sealed('growroot', { '/usr/bin/growpart': '', '/usr/bin/cloud-init': '' })).verdict, 'ok');
});

test('rotated logs and the journal go, other logs are emptied and keep their place', async () => {
  const { files } = await sealed('logs', {
    '/var/log/syslog': 'x',
    '/var/log/syslog.1': 'x',
    '/var/log/dpkg.log.2.gz': 'x',
    '/var/log/journal/0123456789abcdef0123456789abcdef/system.journal': 'x',
  });
  assert.deepEqual(files, { '/var/log/syslog': '' });
});

test('keys and passwords of people go, also those of who is locked', async () => {
  const people = 'root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\ndaemon:x:2:2::/usr/sbin:/bin/false\n';
  const keys = await sealed('authorized-keys', {
    '/etc/passwd': people,
    '/home/ada/.ssh/authorized_keys': 'ssh-ed25519 AAAA\n',
    '/home/ada/.ssh/config': 'Host *\n',
  });
  assert.deepEqual([keys.verdict, keys.after], ['warning', 'ok']);
  assert.deepEqual(Object.keys(keys.files), ['/etc/passwd', '/home/ada/.ssh/config']);
  const { verdict, after, files } = await sealed('passwords', {
    '/etc/shadow': 'root:*:1::::::\nada:$6$a$b:1::::::\nbob:!$6$a$b:1::::::\neve::1::::::\n',
    '/etc/shadow-': 'ada:$6$old$b:1::::::\n',
  });
  assert.deepEqual([verdict, after], ['failure', 'ok']);
  assert.equal(files['/etc/shadow'], 'root:*:1::::::\nada:*:1::::::\nbob:*:1::::::\neve:*:1::::::\n');
  assert.equal(files['/etc/shadow-'], undefined);
});

test('what makers of images write where a hash would be opens nothing, and is no password', async () => {
  const shadow = [
    ...['root:thereisnopasswordanditslocked:1::::::', 'rocky:!locked:1::::::', 'suse:!*:1::::::', 'arch:*LK*:1::::::'],
    ...['alma:!!:1::::::', 'alpine:*::0:::::'],
  ].join('\n');
  assert.equal((await sealed('passwords', { '/etc/shadow': shadow })).verdict, 'ok');
  for (const hash of ['$y$j9T$a$b', '!$2b$05$abc', 'abJnggxhB/yWI', '_J9..rasmBYk8r9AiWNc']) {
    const { verdict, after } = await sealed('passwords', { '/etc/shadow': `ada:${hash}:1::::::\n` });
    assert.deepEqual([verdict, after], ['warning', 'ok'], hash);
  }
});

test('the disks of each distribution are judged by what is on them', async () => {
  const unit = '/usr/lib/systemd/system/fstrim.timer';
  const keyfile = '/etc/NetworkManager/system-connections/office.nmconnection';
  for (const [id, files] of [
    ['machine-id', { '/etc/machine-id': 'uninitialized\n' }],
    ['trim', { ...systemd, [unit]: '', '/usr/lib/systemd/system/timers.target.wants/fstrim.timer': '' }],
    ['trim', { '/etc/fstab': 'UUID=1 / btrfs subvol=root,compress=zstd:1,discard=async 0 0\n' }],
    ['growroot', { '/usr/lib/dracut/modules.d/90kiwi-repart/module-setup.sh': '' }],
    ['growroot', { '/usr/lib/repart.d/50-root.conf': '' }],
    ['ssh-keys-made', { '/usr/sbin/sshd': '', '/etc/init.d/sshd': '' }],
    ['ssh-keys-made', { ...systemd, '/usr/sbin/sshd': '', '/usr/lib/systemd/system/sshdgenkeys.service': '' }],
    ['nic-configuration', { [keyfile]: '[connection]\nid=office\nuuid=1-2\n[ipv4]\nmethod=auto\n' }],
    ['nic-configuration', { '/etc/sysconfig/network/ifcfg-eth0': "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n" }],
    ['guest-agent', { '/usr/bin/qemu-ga': '', '/etc/init.d/qemu-guest-agent': '' }],
  ] as [string, Record<string, string>][]) {
    const { verdict, seen } = await sealed(id, files);
    assert.equal(verdict, 'ok', `${id}: ${seen}`);
  }
  for (const [id, path] of [
    ['random-seed', '/var/lib/seedrng/seed.credit'],
    ['program-ids', '/var/lib/zypp/AnonymousUniqueId'],
    ['logins', '/var/lib/wtmpdb/wtmp.db'],
    ['temporary-files', '/var/cache/pacman/pkg/linux-6.1.pkg.tar.zst'],
    ['nic-configuration', '/etc/sysconfig/network/ifcfg-eth0'],
  ] as const) {
    const { verdict, after } = await sealed(id, { [path]: 'LLADDR=52:54:00:00:00:01\n' });
    assert.notEqual(verdict, 'ok', id);
    assert.equal(after, 'ok', id);
  }
  const service = { '/etc/init.d/qemu-guest-agent': '', '/etc/runlevels/default/sshd': '' };
  const agent = await sealed('guest-agent', { '/usr/bin/qemu-ga': '', ...service });
  assert.deepEqual([agent.verdict, agent.after], ['warning', 'ok']);
  const { after, files } = await sealed('serial-console', {
    '/boot/extlinux.conf': 'LABEL virt\n  APPEND root=LABEL=/ modules=ext4\n',
    '/etc/inittab': '#ttyS0::respawn:/sbin/getty -L 0 ttyS0 vt100',
  });
  assert.equal(after, 'ok');
  assert.match(files['/etc/inittab'] ?? '', /vt100\nttyS0::respawn:[^\n]*\n$/);
});
