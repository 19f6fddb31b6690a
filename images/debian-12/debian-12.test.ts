// The Debian image in a real machine, under emulation: cloud-init takes the seed, and the disk is sealed and grown.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GuestMachine, networkConfig, writeSeed } from '../testing/guest-machine.ts';
import { type ImageFixture, prepareImage, removeImage } from '../testing/test-image.ts';

const bootMs = 600_000;
const powerOffMs = 60_000;
let fixture: ImageFixture;

before(async () => {
  fixture = await prepareImage('debian-12', 'VIRGA_TEST_DEBIAN_IMAGE');
});
after(() => removeImage(fixture));

test('Debian 12 boots from UEFI, and cloud-init makes it the instance of its seed', async (t) => {
  const folder = join(fixture.folder, 'machine');
  await mkdir(folder);
  await writeSeed(folder, {
    'meta-data': `instance-id: ins-db\nlocal-hostname: db\npublic-keys:\n  - ${fixture.publicKey}\n`,
    'user-data': '#!/bin/sh\necho user data was here >/root/ran\n',
    'network-config': networkConfig,
  });
  const { image, sshKeyFile } = fixture;
  const machine = await GuestMachine.start({
    ...{ folder, image, sshKeyFile, firmware: 'uefi', memoryMib: 768, diskMib: 4096 },
  });
  try {
    const seconds = await machine.waitForConsole(/Cloud-init v.* finished at .*DataSourceNoCloud/, bootMs);
    console.log(`cloud-init finished ${seconds.toFixed(1)} s after QEMU was started`);
    const ssh = (command: string) => machine.ssh(command, 'debian');

    await t.test('has its host name, address, user data and root on the whole disk, and no swap', async () => {
      assert.equal(await ssh('hostname'), 'db');
      assert.match(await ssh('ip -4 address show eth0'), /inet 10\.0\.2\.15\/24/);
      assert.match(await ssh('resolvectl dns eth0'), /10\.0\.2\.3/);
      assert.equal(await ssh('sudo cat /root/ran'), 'user data was here');
      const rootMib = Number(await ssh('df --output=size --block-size=1M / | tail -n 1'));
      assert.ok(rootMib > 3800, `the root has ${rootMib} MiB of a disk of 4096`);
      assert.equal((await ssh('cat /proc/swaps')).split('\n').length, 1);
    });
    await t.test('started every unit, and cloud-init has nothing to complain of', async () => {
      assert.equal(await ssh('systemctl list-units --failed --plain --no-legend'), '');
      assert.match(await ssh('cloud-init status'), /status: done/);
    });
    await t.test('has a machine id and host keys of its own, and the console shows the keys', async () => {
      assert.match(await ssh('cat /etc/machine-id'), /^[0-9a-f]{32}$/);
      const [type, key] = (await ssh('cat /etc/ssh/ssh_host_ed25519_key.pub')).split(' ');
      assert.match(machine.console, new RegExp(`BEGIN SSH HOST KEY KEYS[\\s\\S]*${type} ${RegExp.escape(key ?? '')}`));
      assert.equal(await ssh('find /etc/ssh -name "ssh_host_*" ! -newer /etc/fstab'), '', 'keys were in the image');
    });
    await t.test('answers the guest agent', async () => {
      assert.equal(await machine.agentRun('/usr/bin/hostname'), 'db\n');
    });
    await t.test('lets nobody in by password', async () => {
      await assert.rejects(machine.ssh('true', 'nobody'), /Permission denied \(publickey\)/);
      assert.match(await ssh('sudo sshd -T'), /^passwordauthentication no$/m);
    });
    await t.test('turns itself off when the power button is pressed', async () => {
      console.log(`off ${(await machine.pressPowerButton(powerOffMs)).toFixed(1)} s after the power button`);
    });
  } finally {
    await machine.kill();
  }
});
