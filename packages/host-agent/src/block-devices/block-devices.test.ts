import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockDevice } from '@virga/contract/agent/block-devices';
import { conforms } from '@virga/contract/agent/conforms';
import { realHostSystem } from '../host-system/host-system.ts';
import { blockDevices } from './block-devices.ts';
import { folderDevices } from './folder-devices.ts';
import {
  FakeHost,
  megaRaid,
  nvmeConsumer,
  nvmeEnterprise,
  oldRotating,
  sataSsd,
  smartArray,
  virtioDisk,
} from './testing/fake-host.ts';

test('disks are told by class, with scheduler and write cache; what is no disk is left out', async (t) => {
  const host = new FakeHost(t);
  for (const disk of [nvmeConsumer, nvmeEnterprise, sataSsd('sda'), oldRotating, virtioDisk]) host.disk(disk);
  for (const name of ['loop0', 'ram0', 'zram0', 'sr0', 'md127', 'dm-0', 'nbd0', 'mmcblk0boot0']) host.disk({ name });
  host.disk({ name: 'sdy', files: { size: '0' } });
  host.disk({ name: 'nvme0c0n1', files: { hidden: '1' } });
  const devices = await blockDevices(host.system);
  assert.deepEqual(
    devices.map((device) => [device.name, device.class, device.scheduler.chosen, device.writeCache]),
    [
      ['nvme0n1', 'nvme', 'none', 'write back'],
      ['nvme1n1', 'nvme', 'none', 'write through'],
      ['sda', 'ssd', 'mq-deadline', 'write back'],
      ['sdz', 'rotating', 'cfq', 'write back'],
      ['vda', 'virtual', 'none', 'write back'],
    ],
  );
  const [consumer, , , old] = devices;
  assert.deepEqual(
    [consumer?.model, consumer?.id, consumer?.sizeBytes],
    ['Samsung SSD 980 PRO 1TB', 'eui.0025385b71b0a1f2', 1953525168 * 512],
  );
  assert.deepEqual(old?.scheduler.available, ['noop', 'deadline', 'cfq']);
  for (const device of devices) assert.ok(conforms(BlockDevice, device), JSON.stringify(device));
});

test('disks behind RAID controllers are known by their driver', async (t) => {
  const host = new FakeHost(t);
  host.disk(megaRaid());
  host.disk(smartArray('sdb', 3));
  host.disk(sataSsd('sdc'));
  const devices = await blockDevices(host.system);
  assert.deepEqual(
    devices.map(({ name, controller }) => [name, controller]),
    [
      ['sda', 'megaraid_sas'],
      ['sdb', 'hpsa'],
      ['sdc', null],
    ],
  );
});

test('a queue that was told to send no flushes hides no cache', async (t) => {
  const host = new FakeHost(t);
  const ssd = sataSsd('sda');
  host.disk({ ...ssd, files: { ...ssd.files, 'queue/write_cache': 'write through' } });
  assert.equal((await blockDevices(host.system))[0]?.writeCache, 'write back');
});

test('what rests on a disk is told through every layer: LVM on encryption on a mirror', async (t) => {
  const host = new FakeHost(t);
  host.disk(sataSsd('sda'));
  host.disk(sataSsd('sdb'));
  host.disk({ name: 'md0', slaves: ['sda2', 'sdb2'] });
  host.disk({ name: 'dm-0', slaves: ['md0'] });
  host.disk({ name: 'dm-1', slaves: ['dm-0'] });
  for (const { usedBy } of await blockDevices(host.system)) assert.deepEqual(usedBy, ['md0', 'dm-0', 'dm-1']);
});

test('a folder is traced to its disks through mount, links, LVM, encryption and mirror', async (t) => {
  const host = new FakeHost(t);
  host.disk(nvmeConsumer);
  host.disk(sataSsd('sda'));
  host.disk(sataSsd('sdb'));
  host.disk({ name: 'md0', slaves: ['sda2', 'sdb2'] });
  host.disk({ name: 'dm-0', slaves: ['nvme0n1p3'] });
  host.disk({ name: 'dm-1', slaves: ['dm-0'] });
  const numberOf = async (name: string) => (await host.system.read(`/sys/block/${name}/dev`))!.trim();
  host.mounts(
    ['259:1', '/', 'ext4', '/dev/nvme0n1p1'],
    ['0:22', '/tmp', 'tmpfs', 'tmpfs'],
    [await numberOf('md0'), '/srv', 'xfs', '/dev/md0'],
    [await numberOf('dm-1'), '/srv/with\\040blank', 'ext4', '/dev/mapper/vg-data'],
    ['0:44', '/mnt/nas', 'nfs4', 'nas:/export'],
    ['0:45', '/pool', 'zfs', 'tank/virga'],
    ['0:46', '/var/lib/overlaid', 'overlay', 'overlay'],
  );
  host.link('var/lib/virga', '../../srv/with blank/virga');
  const look = (path: string) => folderDevices(host.system, path);
  assert.deepEqual(await look('/var/lib/virga/volumes'), {
    path: '/var/lib/virga/volumes',
    devices: ['nvme0n1'],
    through: ['dm-1', 'dm-0'],
    fileSystem: 'ext4',
    why: null,
  });
  assert.deepEqual([(await look('/srv')).devices, (await look('/srv')).through], [['sda', 'sdb'], ['md0']]);
  assert.deepEqual((await look('/home')).devices, ['nvme0n1']);
  assert.deepEqual((await look('/srvother')).devices, ['nvme0n1'], 'a name that only begins alike');
  for (const [path, says] of [
    ['/tmp/x', /tmpfs/],
    ['/mnt/nas/virga', /nfs4 \(nas:\/export\)/],
    ['/pool', /zfs/],
    ['/var/lib/overlaid/x', /overlay/],
  ] as const) {
    const found = await look(path);
    assert.deepEqual(found.devices, []);
    assert.match(found.why!, says);
  }
});

test('a disk of the network is no disk of this host, and neither is one of memory', async (t) => {
  for (const name of ['rbd0', 'nbd1', 'ram0', 'zram0']) {
    const host = new FakeHost(t);
    host.disk({ name });
    host.mounts([(await host.system.read(`/sys/block/${name}/dev`))!.trim(), '/', 'ext4', `/dev/${name}`]);
    const { devices, why } = await folderDevices(host.system, '/srv');
    assert.deepEqual(devices, []);
    assert.match(why!, new RegExp(`${name}, which is no disk of this host`));
  }
});

test('btrfs tells all its disks, and a loop device leads to the disk of its file', async (t) => {
  const host = new FakeHost(t);
  host.disk(sataSsd('sda'));
  host.disk(sataSsd('sdb'));
  host.disk(nvmeEnterprise);
  host.disk({ name: 'loop3', files: { 'loop/backing_file': '/images/disk.img' } });
  host.link('dev/mapper/pool', '../dm-7');
  host.disk({ name: 'dm-7', slaves: ['sda1'] });
  for (const name of ['dm-7', 'sdb1']) host.put(`sys/fs/btrfs/0f00-aa/devices/${name}/x`, '');
  const number = async (name: string) => (await host.system.read(`/sys/block/${name}/dev`))!.trim();
  host.mounts(
    [await number('nvme1n1'), '/', 'ext4', '/dev/nvme1n1'],
    ['0:50', '/data', 'btrfs', '/dev/mapper/pool'],
    [await number('loop3'), '/storage', 'ext4', '/dev/loop3'],
  );
  const btrfs = await folderDevices(host.system, '/data/virga');
  assert.deepEqual([btrfs.devices, btrfs.through], [['sda', 'sdb'], ['dm-7']]);
  const looped = await folderDevices(host.system, '/storage/virga');
  assert.deepEqual([looped.devices, looped.through], [['nvme1n1'], ['loop3']]);
});

test('the disks of this host are read, and its root folder lies somewhere', async () => {
  const devices = await blockDevices(realHostSystem);
  for (const device of devices) assert.ok(conforms(BlockDevice, device), JSON.stringify(device));
  const root = await folderDevices(realHostSystem, '/');
  assert.ok(root.devices.length > 0 || root.why !== null);
  for (const name of root.devices)
    assert.ok(
      devices.some((device) => device.name === name),
      name,
    );
});
