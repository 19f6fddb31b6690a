import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DiskWatch } from './disk-watch.ts';
import { FakeHost, nvmeConsumer, nvmeEnterprise, sataSsd } from './testing/fake-host.ts';

const storagePath = '/srv/virga';

function watching(t: TestContext) {
  const host = new FakeHost(t);
  let nowMs = 0;
  let looks = 0;
  const watch = new DiskWatch({
    system: host.system,
    clock: { now: () => nowMs, delay: async () => undefined },
    storagePath,
    findAbilities: async () => {
      looks++;
      if (looks === 1 && host.ran.length > 0) throw new Error('libvirtd is away');
      return { directIo: true, ioUring: true };
    },
  });
  const numberOf = async (name: string) => (await host.system.read(`/sys/block/${name}/dev`))!.trim();
  return { host, watch, numberOf, looks: () => looks, pass: (ms: number) => (nowMs += ms) };
}

test('each disk under a mirror counts: one that is safe does not make the other so', async (t) => {
  const { host, watch, numberOf } = watching(t);
  host.disk(sataSsd('sda'));
  host.disk({ ...nvmeEnterprise, partitions: ['nvme1n1p1'] });
  host.disk({ name: 'md0', slaves: ['nvme1n1p1', 'sda2'] });
  host.disk(nvmeConsumer);
  host.mounts([await numberOf('md0'), '/srv', 'xfs', '/dev/md0'], ['259:9', '/', 'ext4', '/dev/nvme0n1p2']);
  const { devices } = await watch.sight();
  assert.deepEqual(
    devices.map(({ name, class: kind, verdict, allowsWriteback }) => [name, kind, verdict, allowsWriteback]),
    [
      ['nvme1n1', 'nvme', 'safe', true],
      ['sda', 'ssd', 'volatile', false],
    ],
  );
});

test('LVM on an encrypted NVMe disk is that disk, and where nothing is known there are no devices', async (t) => {
  const { host, watch, numberOf, pass } = watching(t);
  host.disk(nvmeConsumer);
  host.disk({ name: 'dm-0', slaves: ['nvme0n1p3'], files: { 'dm/name': 'crypt' } });
  host.disk({ name: 'dm-1', slaves: ['dm-0'], files: { 'dm/name': 'vg-srv' } });
  host.mounts([await numberOf('dm-1'), '/', 'ext4', '/dev/mapper/vg-srv']);
  assert.deepEqual(
    (await watch.sight()).devices.map(({ name, id }) => [name, id]),
    [['nvme0n1', 'eui.0025385b71b0a1f2']],
  );
  host.mounts(['0:40', '/', 'overlay', 'overlay']);
  pass(60_000);
  assert.deepEqual((await watch.sight()).devices, []);
});

test('who only reports is answered at once with what was seen last', async (t) => {
  const { host, watch, looks, pass } = watching(t);
  host.disk(nvmeConsumer);
  host.mounts(['0:40', '/', 'tmpfs', 'tmpfs']);
  const first = await watch.lately();
  assert.equal(await watch.lately(), first);
  assert.equal(looks(), 1);
  pass(60_000);
  assert.equal(await watch.lately(), first, 'the new look is not waited for');
  const second = await watch.sight();
  assert.notEqual(second, first);
  assert.equal(await watch.lately(), second);
  assert.equal(looks(), 2);
});

test('volumes on a disk of their own count too', async (t) => {
  const { host, watch, numberOf } = watching(t);
  host.disk(nvmeEnterprise);
  host.disk(sataSsd('sda'));
  host.mounts(
    [await numberOf('nvme1n1'), '/', 'ext4', '/dev/nvme1n1'],
    [await numberOf('sda'), `${storagePath}/volumes`, 'xfs', '/dev/sda'],
  );
  assert.deepEqual(
    (await watch.sight()).devices.map(({ name }) => name),
    ['nvme1n1', 'sda'],
  );
});

test('it looks again after a minute, at once when that is asked for, and does not remember a failure', async (t) => {
  const { host, watch, looks, pass } = watching(t);
  host.mounts(['0:40', '/', 'tmpfs', 'tmpfs']);
  host.ran.push('something');
  await assert.rejects(watch.sight(), /libvirtd is away/);
  await watch.sight();
  await watch.sight();
  assert.equal(looks(), 2);
  pass(59_999);
  await watch.sight();
  assert.equal(looks(), 2);
  await watch.sight({ now: true });
  assert.equal(looks(), 3);
  pass(60_000);
  await watch.sight();
  assert.equal(looks(), 4);
});
