import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { hostSystemAt, realHostSystem } from '../host-system/host-system.ts';
import { hostCounters } from './host-counters.ts';
import { mountOf } from './storage-counters.ts';

const physical: Record<string, string> = {
  // CPU 1 has been taken out.
  'proc/stat':
    'cpu  300 10 90 5000 40 0 10 20 30 0\ncpu0 100 10 40 2500 20 0 10 5 30 0\ncpu2 200 0 50 2500 20 0 0 15 0 0\nintr 1\n',
  'proc/uptime': '26434.95 18893.78\n',
  'proc/loadavg': '1.50 0.75 0.30 2/345 6789\n',
  'proc/meminfo':
    'MemTotal:       16384000 kB\nMemFree:         1000000 kB\nMemAvailable:    8192000 kB\nSwapTotal:       2048000 kB\nSwapFree:        2040000 kB\n',
  'proc/self/mountinfo':
    '20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 253:0 / /var/lib/my\\040disks rw - xfs /dev/mapper/data rw\n',
  'proc/diskstats':
    '   8       1 sda1 10 0 80 5 20 0 160 7 0 30 12\n 253       0 dm-0 1000 5 8000 500 2000 0 16000 700 0 3000 1200\n',
  'proc/net/dev':
    'Inter-|   Receive |  Transmit\n face |bytes packets errs|bytes\n    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n  eno1:1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n   br0: 1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n vnet0: 7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n',
  'sys/class/net/lo/mtu': '65536\n',
  'sys/class/net/eno1/device/vendor': '0x8086\n',
  'sys/class/net/br0/bridge/stp_state': '0\n',
  'sys/class/net/vnet0/tun_flags': '0x1002\n',
  'proc/pressure/cpu':
    'some avg10=82.79 avg60=86.39 avg300=74.73 total=11056041\nfull avg10=0 avg60=0 avg300=0 total=0\n',
  'proc/pressure/memory': 'some avg10=0 avg60=0 avg300=0 total=3000\nfull avg10=0 avg60=0 avg300=0 total=2000\n',
  'proc/pressure/io': 'some avg10=0 avg60=0 avg300=0 total=5000\nfull avg10=0 avg60=0 avg300=0 total=4000\n',
};

async function hostWith(t: TestContext, files: Record<string, string>) {
  const root = await mkdtemp(join(tmpdir(), 'virga-host-usage-'));
  t.after(() => rm(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const system = hostSystemAt(root, () => Promise.reject(new Error('no program is run')));
  return { root, system };
}

test('all counters of a host are read from its kernel, in bytes and milliseconds', async (t) => {
  const { system } = await hostWith(t, physical);
  assert.deepEqual(await hostCounters(system, '/var/lib/my disks/virga'), {
    uptimeMs: 26_434_950,
    cpus: [
      { id: 0, busyMs: 1600, idleMs: 25_200, stolenMs: 50 },
      { id: 2, busyMs: 2500, idleMs: 25_200, stolenMs: 150 },
    ],
    load: [1.5, 0.75, 0.3],
    memory: { totalKib: 16_384_000, availableKib: 8_192_000, swapTotalKib: 2_048_000, swapFreeKib: 2_040_000 },
    storage: {
      device: 'dm-0',
      readRequests: 1000,
      readBytes: 4_096_000,
      writeRequests: 2000,
      writtenBytes: 8_192_000,
      busyMs: 3000,
    },
    network: { receivedBytes: 1000, sentBytes: 2000 },
    pressure: { cpuSomeMs: 11_056, memorySomeMs: 3, memoryFullMs: 2, ioSomeMs: 5, ioFullMs: 4 },
  });
});

test('a kernel without pressure, a storage of several devices and a host without cards are no fault', async (t) => {
  const { root, system } = await hostWith(t, {
    'proc/self/mountinfo': '20 1 0:40 / / rw - btrfs /dev/mapper/pool rw\n',
    'proc/diskstats': ' 253 3 dm-3 1 0 2 0 3 0 4 0 0 5 0\n',
    'proc/net/dev': '    lo: 9 0 0 0 0 0 0 0 9 0\n  wg0: 5 0 0 0 0 0 0 0 6 0\n',
    'sys/class/net/lo/mtu': '65536\n',
    'sys/class/net/wg0/mtu': '1420\n',
  });
  await mkdir(join(root, 'dev/mapper'), { recursive: true });
  await symlink('../dm-3', join(root, 'dev/mapper/pool'));
  const counters = await hostCounters(system, '/srv');
  assert.deepEqual(
    [counters.pressure, counters.storage?.device, counters.storage?.writtenBytes, counters.network],
    [null, 'dm-3', 2048, { receivedBytes: 5, sentBytes: 6 }],
  );
});

test('a storage of memory has no device, and of mounts at one place the last one counts', () => {
  const mounts =
    '1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /a rw - ext4 /dev/sda2 rw\n3 2 0:50 / /a rw - tmpfs tmpfs rw\n';
  assert.equal(mountOf(mounts, '/a/b')?.device, '0:50');
  assert.equal(mountOf(mounts, '/ab')?.device, '8:1');
});

test('on this very host time passes: its processors are busy or idle for as long as it is up', async () => {
  const { uptimeMs, cpus, memory } = await hostCounters(realHostSystem, tmpdir());
  assert.ok(uptimeMs > 0 && cpus.length > 0);
  for (const { busyMs, idleMs, stolenMs } of cpus) {
    assert.ok(busyMs > 0 && busyMs + idleMs + stolenMs <= uptimeMs * 1.1, 'no CPU was there for longer than its host');
  }
  assert.ok(memory.availableKib > 0 && memory.availableKib <= memory.totalKib);
});
