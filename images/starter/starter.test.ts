// The starter image in real machines, under emulation: what an instance can count on.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { GuestMachine, type MachineOptions, networkConfig, type Seed, writeSeed } from '../testing/guest-machine.ts';
import { type ImageFixture, prepareImage, removeImage } from '../testing/test-image.ts';

const bootMs = 180_000;
const testMs = 900_000;
const powerOffMs = 10_000;
const ready = /virga-starter: ready/;
let fixture: ImageFixture;

before(async () => {
  fixture = await prepareImage('starter', 'VIRGA_TEST_STARTER_IMAGE');
});
after(() => removeImage(fixture));

const seedOf = (name: string, userData: string): Seed => ({
  'meta-data': `instance-id: ins-${name}\nlocal-hostname: ${name}\npublic-keys:\n  - ${fixture.publicKey}\n`,
  'user-data': userData,
  'network-config': networkConfig,
});

async function machineFolder(name: string): Promise<MachineOptions> {
  const folder = join(fixture.folder, name);
  await mkdir(folder);
  return { folder, image: fixture.image, sshKeyFile: fixture.sshKeyFile };
}

async function whileRunning<Result>(options: MachineOptions, act: (machine: GuestMachine) => Promise<Result>) {
  const machine = await GuestMachine.start(options);
  try {
    const seconds = await machine.waitForConsole(ready, bootMs);
    console.log(`ready ${seconds.toFixed(1)} s after QEMU was started (${options.firmware ?? 'bios'})`);
    return await act(machine);
  } finally {
    await machine.kill();
  }
}

const identity = 'cat /etc/machine-id; dropbearkey -y -f /etc/dropbear/dropbear_ed25519_host_key | grep ^ssh-';

test('an instance becomes what its seed says, once, and keeps it over a reboot; another instance is another machine', {
  timeout: testMs,
}, async (t) => {
  const script = '#!/bin/sh\necho "ran as $(id -un)" >>/root/ran\necho user data was here\n';
  const options = await machineFolder('web-1');
  await writeSeed(options.folder, seedOf('web-1', script));

  const first = await whileRunning(options, async (machine) => {
    await machine.waitForConsole(/user data finished with status 0/, bootMs);
    assert.match(machine.console, /user data was here/);
    await t.test('has its host name, root on the whole disk, an address and no swap', async () => {
      assert.equal(await machine.ssh('hostname'), 'web-1');
      const rootMib = Number(await machine.ssh("df -m / | awk 'END { print $2 }'"));
      assert.ok(rootMib > 900, `the root has ${rootMib} MiB of a disk of 1024`);
      assert.equal((await machine.ssh('cat /proc/swaps')).split('\n').length, 1);
      assert.match(await machine.ssh('ip -4 address show eth0'), /inet 10\.0\.2\.15\/24/);
      assert.match(
        await machine.ssh('ip route; cat /etc/resolv.conf'),
        /default via 10\.0\.2\.2[\s\S]*nameserver 10\.0\.2\.3/,
      );
    });
    await t.test('answers the guest agent', async () => {
      await machine.agent('guest-ping');
      assert.equal(await machine.agentRun('/bin/hostname'), 'web-1\n');
      const cards = (await machine.agent('guest-network-get-interfaces')) as { name: string }[];
      assert.deepEqual(cards.map(({ name }) => name).sort(), ['eth0', 'lo']);
    });
    await t.test('refuses who has no key, also the password that nobody set', async () => {
      await assert.rejects(machine.ssh('true', 'nobody'), /Permission denied \(publickey\)/);
    });
    await t.test('says on its console who it is and how to log in', async () => {
      const hostKey = (await machine.ssh(identity)).split('\n')[1] ?? '';
      assert.match(hostKey, /^ssh-ed25519 /);
      assert.ok(machine.console.includes(`-----BEGIN SSH HOST KEY KEYS-----\r\n${hostKey}\r\n`));
      await machine.waitForConsole(
        /log in with: ssh root@10\.0\.2\.15\r\n[\s\S]*shell of root[\s\S]*root@web-1:~# /,
        bootMs,
      );
    });
    const seen = await machine.ssh(identity);
    await t.test('turns itself off when the power button is pressed', async () => {
      const seconds = await machine.pressPowerButton(powerOffMs);
      console.log(`off ${seconds.toFixed(1)} s after the power button`);
      assert.match(machine.console, /virga-starter: stopped/);
    });
    return seen;
  });

  await t.test(
    'is the same when it is started again and after a reboot, and its user data does not run again',
    async () => {
      await whileRunning(options, async (machine) => {
        await machine.ssh('reboot');
        await machine.waitForConsole(/ready[\s\S]*virga-starter: stopped[\s\S]*virga-starter: ready/, bootMs);
        assert.equal(await machine.ssh(identity), first);
        assert.equal(await machine.ssh('cat /root/ran'), 'ran as root');
        assert.doesNotMatch(await machine.ssh('dmesg'), /recovery|orphan/, 'the file system was not unmounted');
      });
    },
  );

  await t.test('is a new machine when its disk gets the seed of another instance', async () => {
    await writeSeed(options.folder, seedOf('web-2', script));
    await whileRunning(options, async (machine) => {
      await machine.waitForConsole(/user data finished/, bootMs);
      assert.equal(await machine.ssh('hostname'), 'web-2');
      const [id, key] = (await machine.ssh(identity)).split('\n');
      const [firstId, firstKey] = first.split('\n');
      assert.notEqual(id, firstId);
      assert.notEqual(key, firstKey);
      assert.equal(await machine.ssh('cat /root/ran'), 'ran as root\nran as root');
    });
  });
});

test('boots from UEFI and a vfat seed, does what is known of #cloud-config and names what is not', {
  timeout: testMs,
}, async () => {
  const userData = `#cloud-config
hostname: from-user-data
ssh_authorized_keys:
  - ${fixture.publicKey}
packages: [nginx]
write_files:
  - path: /etc/greeting
    permissions: '0640'
    content: |
      it's a "file" \\n
        of two lines
  - path: /etc/encoded
    encoding: b64
    content: aGVsbG8K
runcmd:
  - echo one >>/root/order
  - [sh, -c, 'echo "$1" >>/root/order', sh, "it's two"]
`;
  const options = { ...(await machineFolder('uefi')), firmware: 'uefi', memoryMib: 256 } as const;
  const seed = { 'meta-data': 'instance-id: ins-uefi\nlocal-hostname: from-meta-data\n', 'user-data': userData };
  await writeSeed(options.folder, seed, 'vfat');
  await whileRunning(options, async (machine) => {
    await machine.waitForConsole(/user data finished with status 0/, bootMs);
    assert.match(machine.console, /user data: packages is not known here and does nothing/);
    assert.equal(await machine.ssh('hostname'), 'from-user-data');
    assert.equal(await machine.ssh('cat /etc/greeting'), 'it\'s a "file" \\n\n  of two lines');
    assert.equal(await machine.ssh('stat -c %a /etc/greeting; cat /etc/encoded'), '640\nhello');
    assert.equal(await machine.ssh('cat /root/order'), "one\nit's two");
    assert.equal(await machine.ssh('test -d /sys/firmware/efi && echo uefi'), 'uefi');
  });
});

test('gets a static address from network-config', { timeout: testMs }, async () => {
  const options = await machineFolder('static');
  const network = networkConfig.replace(
    'dhcp4: true',
    'addresses: [10.0.2.40/24]\n    gateway4: 10.0.2.2\n    nameservers: {addresses: [10.0.2.3], search: [example.test]}\n    wakeonlan: true',
  );
  await writeSeed(options.folder, { ...seedOf('static', ''), 'network-config': network });
  await whileRunning(options, async (machine) => {
    assert.match(machine.console, /network eth0 10\.0\.2\.40\/24/);
    assert.match(machine.console, /network-config: ethernets\/eth0\/wakeonlan is not known here and does nothing/);
    const resolver = await machine.agentRun('/bin/cat', '/etc/resolv.conf');
    assert.equal(resolver, 'nameserver 10.0.2.3\nsearch example.test\n');
    assert.match(await machine.agentRun('/sbin/ip', 'route'), /default via 10\.0\.2\.2 /);
    const seconds = await machine.turnedOff(powerOffMs, () => machine.agentSend('guest-shutdown'));
    console.log(`off ${seconds.toFixed(1)} s after the agent was asked`);
  });
});

test('a machine without a seed comes up with DHCP, an identity of its own and no keys, and takes a card that is plugged in', {
  timeout: testMs,
}, async () => {
  await whileRunning({ ...(await machineFolder('bare')), memoryMib: 128 }, async (machine) => {
    assert.match(machine.console, /there is no seed[\s\S]*network eth0 10\.0\.2\.15\/24/);
    assert.match(await machine.agentRun('/bin/cat', '/etc/machine-id'), /^[0-9a-f]{32}\n$/);
    assert.equal(await machine.agentRun('/bin/cat', '/root/.ssh/authorized_keys'), '');
    await assert.rejects(machine.ssh('true'), /Permission denied/);
    await machine.plugInCard('10.0.3.0/24');
    await machine.waitForConsole(/network eth1 10\.0\.3\.15\/24/, bootMs);
    const routes = await machine.agentRun('/sbin/ip', 'route');
    assert.deepEqual(routes.match(/^default .*/gm), ['default via 10.0.2.2 dev eth0 ']);
  });
});

test('its kernel and initial RAM disk can be taken out, for machines that boot without a disk', async () => {
  const folder = join(fixture.folder, 'kernel');
  await promisify(execFile)(join(import.meta.dirname, '../disk/extract-kernel'), [fixture.image, folder]);
  assert.deepEqual((await readdir(folder)).sort(), ['initrd.img', 'vmlinuz']);
  const kernel = await readFile(join(folder, 'vmlinuz'));
  // What says that this is a kernel for a boot loader. @see Linux, Documentation/arch/x86/boot.rst
  assert.equal(kernel.toString('latin1', 0x202, 0x206), 'HdrS');
  assert.equal(
    (await readFile(join(folder, 'initrd.img'))).readUInt32LE(0),
    0x184c2102,
    'LZ4 in the format of the kernel',
  );
});
