// The Debian image in a real machine, under emulation: cloud-init takes the seed, and the disk is sealed and grown.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { GuestMachine, networkConfig, writeSeed } from '../testing/guest-machine.ts';
import { type ImageFixture, prepareImage, removeImage } from '../testing/test-image.ts';

const bootMs = 600_000;
const powerOffMs = 60_000;
const testMs = 900_000;
let fixture: ImageFixture;

before(async () => {
  fixture = await prepareImage('debian-12', 'VIRGA_TEST_DEBIAN_IMAGE');
});
after(() => removeImage(fixture));

test('Debian 12 boots from UEFI, and cloud-init makes it the instance of its seed', { timeout: testMs }, async (t) => {
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
    // The agent is quicker than SSH, which needs seconds for each connection under emulation.
    const inside = async (command: string) => (await machine.agentRun('/bin/sh', '-c', command)).trim();

    await t.test('lets in whoever has the key, who may use sudo, and nobody by password', async () => {
      assert.equal(await machine.ssh('sudo id -un', 'debian'), 'root');
      await assert.rejects(machine.ssh('true', 'nobody'), /Permission denied \(publickey\)/);
    });
    await t.test('has its host name, address, user data and root on the whole disk, and no swap', async () => {
      assert.equal(await inside('hostname'), 'db');
      assert.match(await inside('ip -4 address show eth0'), /inet 10\.0\.2\.15\/24/);
      assert.match(await inside('resolvectl dns eth0'), /10\.0\.2\.3/);
      assert.equal(await inside('cat /root/ran'), 'user data was here');
      const rootMib = Number(await inside('df --output=size --block-size=1M / | tail -n 1'));
      assert.ok(rootMib > 3800, `the root has ${rootMib} MiB of a disk of 4096`);
      assert.equal((await inside('cat /proc/swaps')).split('\n').length, 1);
    });
    await t.test('started every unit, and cloud-init has nothing to complain of', async () => {
      assert.equal(await inside('systemctl list-units --failed --plain --no-legend'), '');
      const result = JSON.parse(await inside('cat /run/cloud-init/result.json'));
      assert.deepEqual(result.v1.errors, []);
    });
    await t.test('has a machine id and host keys of its own, and the console shows the keys', async () => {
      assert.match(await inside('cat /etc/machine-id'), /^[0-9a-f]{32}$/);
      const [type, key] = (await inside('cat /etc/ssh/ssh_host_ed25519_key.pub')).split(' ');
      assert.match(machine.console, new RegExp(`BEGIN SSH HOST KEY KEYS[\\s\\S]*${type} ${RegExp.escape(key ?? '')}`));
      assert.equal(await inside('find /etc/ssh -name "ssh_host_*" ! -newer /etc/fstab'), '', 'keys were in the image');
    });
    await t.test('turns itself off when the power button is pressed', async () => {
      console.log(`off ${(await machine.pressPowerButton(powerOffMs)).toFixed(1)} s after the power button`);
    });
  } finally {
    await machine.kill();
  }
});
