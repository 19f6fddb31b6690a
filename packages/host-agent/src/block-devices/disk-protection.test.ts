import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HostDisk } from '@virga/contract/agent/block-devices';
import { conforms } from '@virga/contract/agent/conforms';
import { realHostSystem } from '../host-system/host-system.ts';
import { protectedDisks } from './disk-protection.ts';
import {
  FakeHost,
  megaRaid,
  nvmeConsumer,
  nvmeEnterprise,
  sataSsd,
  smartArray,
  virtioDisk,
} from './testing/fake-host.ts';

const fixture = (name: string) => readFileSync(join(import.meta.dirname, 'testing/fixtures', name), 'utf8');

async function verdicts(host: FakeHost) {
  const disks = await protectedDisks(host.system);
  for (const disk of disks) assert.ok(conforms(HostDisk, disk), JSON.stringify(disk));
  return new Map(disks.map(({ name, protection }) => [name, protection]));
}

const nvmeCli = '/usr/sbin/nvme';
const storcli = '/opt/MegaRAID/storcli/storcli64';
const megacli = '/opt/MegaRAID/MegaCli/MegaCli64';

test('a disk with a volatile cache is volatile, one without is safe, and what was read is told with its place', async (t) => {
  const host = new FakeHost(t);
  host.disk(nvmeConsumer);
  host.disk(nvmeEnterprise);
  host.disk(sataSsd('sda'));
  const found = await verdicts(host);
  assert.deepEqual(
    [...found].map(([name, { verdict, allowsWriteback }]) => [name, verdict, allowsWriteback]),
    [
      ['nvme0n1', 'volatile', false],
      ['nvme1n1', 'safe', true],
      ['sda', 'volatile', false],
    ],
  );
  const { read, why } = found.get('sda')!;
  assert.deepEqual(read, [
    { from: '/sys/block/sda/queue/write_cache', value: 'write back' },
    { from: '/sys/class/scsi_disk/0:0:0:0/cache_type', value: 'write back' },
  ]);
  assert.match(why, /^sda reports a volatile write cache.*cache_type: write back/);
});

test('a disk that tells of no cache is unknown, and a disk of a hypervisor is not believed', async (t) => {
  const host = new FakeHost(t);
  host.disk(virtioDisk);
  host.disk({ name: 'vdb', files: { 'queue/write_cache': 'write through' } });
  host.disk({ name: 'sdc' });
  const found = await verdicts(host);
  assert.deepEqual(
    [...found].map(([name, { verdict, allowsWriteback }]) => [name, verdict, allowsWriteback]),
    [
      ['sdc', 'unknown', true],
      ['vda', 'unknown', false],
      ['vdb', 'unknown', true],
    ],
  );
});

test('an NVMe controller is asked for its identity, its setting and its capacitor', async (t) => {
  const cases = [
    { vwc: 6, verdict: 'safe', why: /has no volatile write cache \(nvme id-ctrl/ },
    {
      vwc: 7,
      feature: 'get-feature:0x06 (Volatile Write Cache), Current value:00000000',
      verdict: 'safe',
      why: /turned off/,
    },
    {
      vwc: 7,
      feature: 'get-feature:0x6 (Volatile Write Cache), Current value:0x000001',
      verdict: 'volatile',
      why: /vwc 7|000001/,
    },
    { vwc: 7, health: { 'Capacitor health': 100 }, verdict: 'safe', why: /capacitor health 100/ },
    { vwc: 7, health: { 'Capacitor health': 65_535 }, verdict: 'volatile', why: /65535/ },
    { vwc: 7, health: { 'Capacitor health': 0 }, verdict: 'volatile', why: /vwc 7/ },
  ] as const;
  for (const one of cases) {
    const host = new FakeHost(t);
    host.disk(nvmeConsumer);
    host.program(nvmeCli, 'id-ctrl /dev/nvme0n1 -o json', JSON.stringify({ vid: 5197, vwc: one.vwc }));
    if ('feature' in one) host.program(nvmeCli, 'get-feature /dev/nvme0n1 -f 6', one.feature);
    if ('health' in one) host.program(nvmeCli, 'ocp smart-add-log /dev/nvme0n1 -o json', JSON.stringify(one.health));
    const protection = (await verdicts(host)).get('nvme0n1')!;
    assert.equal(protection.verdict, one.verdict, JSON.stringify(one));
    assert.match(protection.why, one.why);
  }
});

test('a MegaRAID with a good CacheVault is safe; with a failed one, without one, or with caches of its disks it is not', async (t) => {
  const drives = fixture('storcli-drives.json');
  const controllers = fixture('storcli-controllers.json');
  const cases = [
    { drives, controllers, verdict: 'safe', why: /kept by a battery or capacitor that is good/ },
    {
      drives,
      controllers: controllers.replace('"Optimal"', '"Failed"'),
      verdict: 'volatile',
      why: /battery that is not good.*battery Failed/,
    },
    {
      drives,
      controllers: controllers.replace('Cachevault_Info', 'Other'),
      verdict: 'volatile',
      why: /has no battery/,
    },
    {
      drives: drives.replace('"RWBD"', '"NRWTD"'),
      controllers: '{"Controllers":[]}',
      verdict: 'safe',
      why: /caches no writes/,
    },
    {
      drives: drives.replace('"Disk Cache Policy": "Disabled"', '"Disk Cache Policy": "Enabled"'),
      controllers,
      verdict: 'volatile',
      why: /own write caches on/,
    },
    {
      drives: drives.replace('"Disk Cache Policy": "Disabled"', `"Disk Cache Policy": "Disk's Default"`),
      controllers,
      verdict: 'unknown',
      why: /left to them/,
    },
  ] as const;
  for (const one of cases) {
    const host = new FakeHost(t);
    host.disk(megaRaid());
    host.program(storcli, '/call/vall show all J nolog', one.drives);
    host.program(storcli, '/call show all J nolog', one.controllers);
    const protection = (await verdicts(host)).get('sda')!;
    assert.equal(protection.verdict, one.verdict, protection.why);
    assert.match(protection.why, one.why);
    assert.equal(protection.allowsWriteback, one.verdict === 'safe');
  }
});

test('the older MegaCli is asked where storcli is not: each drive is found by its target', async (t) => {
  const host = new FakeHost(t);
  host.disk(megaRaid('sda', 0));
  host.disk(megaRaid('sdb', 1));
  host.program(megacli, '-LDInfo -Lall -aALL -NoLog', fixture('megacli-drives.txt'));
  host.program(megacli, '-AdpBbuCmd -GetBbuStatus -aALL -NoLog', fixture('megacli-battery.txt'));
  const found = await verdicts(host);
  assert.equal(found.get('sda')?.verdict, 'volatile');
  assert.match(found.get('sda')!.why, /Battery Replacement required/);
  assert.equal(found.get('sdb')?.verdict, 'safe', 'its controller writes through since the battery is bad');
});

test('Smart Array controllers are told apart by the disks that they name', async (t) => {
  const host = new FakeHost(t);
  host.disk(smartArray('sda', 2));
  host.disk(smartArray('sdb', 3));
  host.program('/usr/sbin/ssacli', 'ctrl all show config detail', fixture('ssacli.txt'));
  const found = await verdicts(host);
  assert.equal(found.get('sda')?.verdict, 'safe');
  assert.match(found.get('sda')!.why, /ssacli Smart Array P440ar in Slot 0/);
  assert.equal(found.get('sdb')?.verdict, 'volatile');
  assert.match(found.get('sdb')!.why, /own write caches on/);
});

test('a disk that a RAID controller passes through answers for itself', async (t) => {
  const host = new FakeHost(t);
  host.disk(megaRaid('sda', 0));
  const passed = megaRaid('sdb', 5);
  const scsi = { ...passed.scsi!, address: '0:0:5:0', cacheType: 'write back' };
  host.disk({ ...passed, scsi, files: { ...passed.files, 'device/model': 'ST4000NM000A' } });
  host.program(storcli, '/call/vall show all J nolog', fixture('storcli-drives.json'));
  host.program(storcli, '/call show all J nolog', fixture('storcli-controllers.json'));
  const found = await verdicts(host);
  assert.deepEqual([found.get('sda')?.verdict, found.get('sdb')?.verdict], ['safe', 'volatile']);
  assert.match(found.get('sdb')!.why, /sdb reports a volatile write cache/);
});

test('behind a controller that no program asks, nothing is known; a program that fails is as good as none', async (t) => {
  const host = new FakeHost(t);
  host.disk(megaRaid());
  host.put(storcli, '');
  const { verdict, why } = (await verdicts(host)).get('sda')!;
  assert.equal(verdict, 'unknown');
  assert.match(why, /megaraid_sas/);
  assert.deepEqual(host.ran, [`${storcli} /call/vall show all J nolog`, `${storcli} /call show all J nolog`]);
});

test('no program is run for disks that need none', async (t) => {
  const host = new FakeHost(t);
  host.disk(sataSsd('sda'));
  host.program(storcli, '/call/vall show all J nolog', '{}');
  host.program('/usr/sbin/ssacli', 'ctrl all show config detail', '');
  await verdicts(host);
  assert.deepEqual(host.ran, []);
});

test('this host says of each of its disks what it read, and where', async () => {
  for (const { name, protection } of await protectedDisks(realHostSystem)) {
    assert.ok(protection.why.includes(name), protection.why);
    for (const { from } of protection.read) assert.ok(from.length > 0);
  }
});
