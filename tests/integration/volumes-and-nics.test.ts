// Volumes, network interfaces and limits on a real host with real guests, as a person drives them with the command line and
// watches them with virsh: a disk that was written in one instance is read in another, and nothing is restarted for it.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { type Inventory, takeInventory } from './inventory.ts';
import { stepsOf } from './steps.ts';
import { virsh } from './virsh.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

const inGuest = async (name: string, command: string) => (await cloud.done(`ssh ${name} -- ${command}`)).trim();
const gibibyte = 1024 ** 3;

test('volumes and network interfaces come and go while guests run, and virsh sees the same', async (t) => {
  const { virga, image } = { virga: cloud, image: process.env.VIRGA_TEST_STARTER_IMAGE };
  let empty: Inventory;
  const step = stepsOf(t);
  const domainOf = async (name: string): Promise<string> => (await virga.json(`show ${name}`)).domainName;
  const disksOf = async (name: string, ...which: string[]) =>
    virsh('domblklist', await domainOf(name), '--details', ...which);
  const cardsOf = async (name: string, ...which: string[]) =>
    (await virsh('domiflist', await domainOf(name), ...which)).split('\n').filter((line) => /network/.test(line));

  await step('two guests run', async () => {
    assert.ok(image && existsSync(image), 'VIRGA_TEST_STARTER_IMAGE names an image');
    await Promise.all([
      virga.done(`images register ${image} --name starter --format qcow2 --login-user root --wait`),
      virga.done('networks create default --cidr 10.202.0.0/24 --wait'),
      virga.done('networks create lab --cidr 10.203.0.0/24 --wait'),
      virga.done('keys create laptop'),
    ]);
    empty = await takeInventory(virga);
    const options = '--image starter --type tiny --wait=ssh';
    await Promise.all([virga.done(`launch web ${options}`), virga.done(`launch db ${options}`)]);
  });

  await step('a volume is attached, and the guest finds it by its serial and writes to it', async () => {
    await virga.done('volumes create data --size 1GiB --instance web --wait');
    assert.equal(await virga.done('attach web data --wait'), 'instance web: has data\n');
    const { id } = await virga.json('volumes show data');
    for (const which of [[], ['--inactive']]) {
      assert.match(await disksOf('web', ...which), new RegExp(`file +disk +vdc +.*/volumes/${id}/disk.qcow2`));
    }
    await until('the guest sees it', async () => (await inGuest('web', 'ls /sys/block')).includes('vdc'));
    assert.equal(await inGuest('web', 'cat /sys/block/vdc/serial'), id.replace('-', ''));
    assert.equal(
      await inGuest('web', 'mke2fs /dev/vdc >/dev/null && mkdir -p /mnt && mount -t ext4 /dev/vdc /mnt && echo y'),
      'y',
    );
    assert.equal(await inGuest('web', 'echo written by web > /mnt/note && umount /mnt && sync && echo y'), 'y');
  });

  await step('another instance is refused it meanwhile', async () => {
    const { exit, stderr } = await virga.cli(['attach', 'db', 'data']);
    assert.equal(exit, 4);
    assert.match(stderr, /Instance web has the volume data.*\n.*virga detach web data/);
    assert.doesNotMatch(await disksOf('db'), /vdc/);
  });

  await step('it grows while the guest has it', async () => {
    assert.equal(await virga.done('volumes resize data --size 2GiB --wait'), 'volume data: has 2 GiB\n');
    await until(
      'the guest sees the new size',
      async () => Number(await inGuest('web', 'cat /sys/block/vdc/size')) * 512 === 2 * gibibyte,
    );
  });

  await step('it is detached, and what was written in one guest is read in another', async () => {
    assert.equal(await virga.done('detach web data --wait'), 'instance web: no longer has data\n');
    assert.doesNotMatch(await inGuest('web', 'ls /sys/block'), /vdc/);
    for (const which of [[], ['--inactive']]) assert.doesNotMatch(await disksOf('web', ...which), /vdc/);
    await virga.done('attach db data --wait');
    await until('the guest sees it', async () => (await inGuest('db', 'ls /sys/block')).includes('vdc'));
    assert.equal(
      await inGuest('db', 'mkdir -p /mnt && mount -t ext4 /dev/vdc /mnt && cat /mnt/note'),
      'written by web',
    );
  });

  await step('a limit of 1 MiB a second is one, and gone when it is taken away', async () => {
    const write = async () => {
      const command = 'dd if=/dev/zero of=/mnt/zeros bs=64k count=80 conv=fsync';
      const times = await inGuest('db', `cat /proc/uptime && ${command} 2>/dev/null && cat /proc/uptime`);
      const [before = 0, later = 0] = times.split('\n').map((line) => Number(line.split(' ')[0]));
      return later - before;
    };
    await virga.done('limit disk db data --bps 1MiB --wait');
    assert.match(await virsh('blkdeviotune', await domainOf('db'), 'vdc'), /total_bytes_sec: +1048576/);
    const limited = await write();
    await virga.done('limit disk db data --none --wait');
    assert.match(await virsh('blkdeviotune', await domainOf('db'), 'vdc'), /total_bytes_sec: +0\n/);
    const free = await write();
    t.diagnostic(`5 MiB took ${limited} s at 1 MiB/s, and ${free} s without a limit`);
    assert.ok(limited > 3 && limited > free + 2, `${limited} s, ${free} s`);
  });

  await step(
    'a scratch volume is plugged in with a cache and a thread of its own, which the guest and virsh see',
    async () => {
      await virga.done('volumes create spool --size 1GiB --instance web --scratch --wait');
      const { exit, stderr } = await virga.cli(['attach', 'web', 'spool', '--cache', 'unsafe', '--aio', 'native']);
      assert.equal(exit, 2);
      assert.match(stderr, /Native AIO needs a cache mode that bypasses/);
      const domain = await domainOf('web');
      await virga.done('attach web spool --cache writethrough --io-thread --wait');
      await until('the guest sees it', async () => (await inGuest('web', 'ls /sys/block')).includes('vdc'));
      assert.equal(await inGuest('web', 'cat /sys/block/vdc/queue/write_cache'), 'write through');
      assert.match(await virsh('dumpxml', domain), /cache='writethrough' io='threads' discard='unmap' iothread='3'/);
      for (const which of [[], ['--config']]) assert.match(await virsh('iothreadinfo', domain, ...which), /^ 3 /m);
      assert.equal(
        await inGuest('web', 'dd if=/dev/zero of=/dev/vdc bs=64k count=16 2>/dev/null && sync && echo y'),
        'y',
      );
      assert.equal((await virga.json('drift web')).last, null, 'nobody has changed anything beside Virga');
      await virga.done('detach web spool --wait');
      assert.match(await virsh('iothreadinfo', domain), /No IOThreads found/);
      await virga.done('volumes delete spool --yes --wait');
    },
  );

  await step(
    'what the disks of the host keep through a power cut is shown, and write-back refused accordingly',
    async () => {
      const disks: { writeback: string; storage: string | null; protection: { read: unknown[] } }[] =
        await virga.json('hosts disks');
      const { exit, stderr } = await virga.cli(['disks', 'set', 'web', 'root', '--cache', 'writeback']);
      const risky = disks.some(({ storage, writeback }) => storage !== null && writeback === 'refused');
      assert.equal(exit, risky ? 2 : 0, stderr);
      if (risky) assert.match(stderr, /write cache.*\n.*virga hosts allow-volatile-writeback/s);
      await virga.done('disks set web root --default --wait');
    },
  );

  await step('a network interface is added with its address, and the guest gets that by DHCP', async () => {
    await virga.done('nics add web lab --address 10.203.0.50 --wait');
    assert.equal((await cardsOf('web')).length, 2);
    assert.equal((await cardsOf('web', '--inactive')).length, 2);
    await until('the guest sees it', async () => (await inGuest('web', 'ls /sys/class/net')).includes('eth1'));
    const script = 'printf \'#!/bin/sh\\n[ "$1" != bound ] || ip addr add $ip/24 dev $interface\\n\' > /tmp/dhcp';
    const ask = 'ip link set eth1 up && udhcpc -q -n -i eth1 -s /tmp/dhcp >/dev/null 2>&1';
    await cloud.cli(['ssh', 'web', '--', `${script}; chmod +x /tmp/dhcp; ${ask}`]);
    assert.match(await inGuest('web', 'ip -o addr show dev eth1'), /inet 10\.203\.0\.50\/24/);
    assert.match(await inGuest('web', 'ping -c 1 -W 10 10.203.0.1'), / 0% packet loss/);
  });

  await step('a limit of it is refused where the kernel cannot, before anything changes', async () => {
    const [host] = await virga.json('hosts');
    const before = (await virga.json('show web')).generation;
    const { exit, stderr } = await virga.cli(['limit', 'nic', 'web', '10.203.0.50', '--in', '1M', '--wait']);
    if (host.facts.nicLimits) {
      assert.equal(exit, 0, stderr);
      return;
    }
    assert.notEqual(exit, 0);
    assert.match(stderr, /cannot limit network interfaces/);
    assert.equal((await virga.json('show web')).generation, before);
  });

  await step('interfaces are removed with their leases, also the last one', async () => {
    const [first] = (await virga.json('show web')).networkInterfaces;
    await virga.done('nics remove web 10.203.0.50 --wait');
    assert.equal((await cardsOf('web')).length, 1);
    await virga.done(`nics remove web ${first.address} --wait`);
    for (const which of [[], ['--inactive']]) assert.deepEqual(await cardsOf('web', ...which), []);
    for (const network of (await virsh('net-list', '--name')).split('\n').filter(Boolean)) {
      assert.doesNotMatch(await virsh('net-dumpxml', network), new RegExp(first.mac));
      assert.doesNotMatch(await virsh('net-dumpxml', network), /10\.203\.0\.50/);
    }
    const { exit, stdout } = await virga.cli(['console', 'web', '--until', 'sum=42', '--timeout', '60'], {
      input: '\necho sum=$((40 + 2))\n',
    });
    assert.deepEqual([exit, stdout.includes('sum=42')], [0, true], 'the console still works');
  });

  await step('a guest that keeps a volume is told about, and a stop takes it', async () => {
    // It is mounted: the kernel lets go nevertheless, so the guest is paused by virsh, and answers nothing.
    await inGuest('db', 'umount /mnt && echo y');
    const domain = await domainOf('db');
    await virsh('suspend', domain);
    await until('Virga has seen it', async () => (await virga.json('show db')).state === 'paused');
    const { exit, stderr } = await virga.cli(['detach', 'db', 'data']);
    assert.equal(exit, 4);
    assert.match(stderr, /is paused/);
    await virsh('resume', domain);
    await until('Virga has seen it', async () => (await virga.json('show db')).state === 'running');
    await virga.done('destroy db --wait');
    await virga.done('detach db data --wait');
    assert.doesNotMatch(await disksOf('db', '--inactive'), /vdc/);
  });

  await step('what is deleted leaves nothing, and a volume stays until it is deleted', async () => {
    await virga.done('attach db data --wait');
    await virga.done('delete web --yes --wait');
    await virga.done('delete db --yes --wait');
    assert.equal((await virga.json('volumes show data')).state, 'available');
    await virga.done('volumes delete data --yes --wait');
    assert.deepEqual(await takeInventory(virga), empty);
  });
});
