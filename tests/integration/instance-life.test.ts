// The life of an instance on a real host, from launch to delete, as a person drives it with the command line and watches it
// with virsh: what Virga says, libvirt and the guest say too, and in the end nothing is left.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { childAt, parseXml } from '@virga/host-agent/libvirt/xml';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { type Inventory, takeInventory } from './inventory.ts';
import { output } from './run-program.ts';
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

const domains = async (...which: string[]) =>
  (await virsh('list', '--name', ...which)).split('\n').filter((line) => line !== '');
const inGuest = async (name: string, ...command: string[]) =>
  (await cloud.done(['ssh', name, '--', ...command].join(' '))).trim();

test('an instance lives as the command line says, and virsh sees the same', async (t) => {
  const { virga, image } = { virga: cloud, image: process.env.VIRGA_TEST_STARTER_IMAGE };
  let empty: Inventory;
  let domain = '';
  let id = '';
  const step = stepsOf(t);

  await step('a cloud gets an image, a network and a key', async () => {
    assert.ok(image && existsSync(image), 'VIRGA_TEST_STARTER_IMAGE names an image');
    const said = await Promise.all([
      virga.done(`images register ${image} --name starter --format qcow2 --login-user root --wait`),
      virga.done('networks create default --cidr 10.201.0.0/24 --wait'),
      virga.done('keys create laptop'),
    ]);
    assert.match(said[0], /^image starter: available/);
    assert.match(said[1], /^network default: active/);
    empty = await takeInventory(virga);
  });

  await step('two guests are launched and run, until one can log in', async () => {
    const userData = join(virga.folder, 'user-data');
    writeFileSync(userData, '#!/bin/sh\necho "run by $(id -un) on $(hostname)" >/root/user-data-ran\n');
    const options = '--image starter --type tiny --wait=ssh';
    const [web, db] = await Promise.all([
      virga.done(`launch web ${options} --user-data ${userData}`),
      virga.done(`launch db ${options}`),
    ]);
    assert.match(web, /^instance web: running at 10\.201\.0\.\d+\n$/);
    assert.match(db, /^instance db: running at 10\.201\.0\.\d+\n$/);
    assert.match(await virga.done('list'), /web +i-\w+ +running +10\.201\.0\.\d+ +tiny +starter/);
    const shown = await virga.json('show web');
    assert.deepEqual([shown.desiredState, shown.observedState, shown.keyPairs], ['running', 'running', ['laptop']]);
    domain = shown.domainName;
    id = shown.id;
  });

  await step('virsh shows the same domain', async () => {
    const others = (await virga.json('list')).map(({ domainName }: { domainName: string }) => domainName);
    assert.deepEqual((await domains()).sort(), others.sort());
    const info = await virsh('dominfo', domain);
    assert.match(info, /State: +running/);
    assert.match(info, /CPU\(s\): +1\n/);
    assert.match(info, /Max memory: +262144 KiB/);
    assert.match(info, /Persistent: +yes/);
    const shown = parseXml(await virga.done('xml web'));
    assert.deepEqual(shown, parseXml(await virsh('dumpxml', domain)));
    assert.equal(childAt(shown, 'name')?.text, domain);
  });

  await step('host name, key and user data have reached the guest', async () => {
    assert.equal(await inGuest('web', 'hostname'), 'web');
    assert.equal(await inGuest('db', 'hostname'), 'db');
    assert.match(await virga.done('log web'), /virga-starter: ready \(web, instance i-/);
    assert.equal(await inGuest('web', 'cat', '/root/user-data-ran'), 'run by root on web');
    const keys = await inGuest('web', 'cat', '/root/.ssh/authorized_keys');
    const [{ fingerprint }] = await virga.json('keys');
    const file = join(virga.folder, 'authorized_keys');
    writeFileSync(file, `${keys}\n`);
    assert.ok((await output('ssh-keygen', '-lf', file)).includes(fingerprint));
    const failing = await virga.cli(['ssh', 'web', '--', 'exit 7']);
    assert.equal(failing.exit, 7);
  });

  await step('guests reach each other over the network', async () => {
    const addressOf = async (name: string) => (await virga.json(`show ${name}`)).networkInterfaces[0].address;
    const [web, db] = await Promise.all([addressOf('web'), addressOf('db')]);
    assert.match(await inGuest('web', 'ping', '-c', '2', '-W', '10', db), / 0% packet loss/);
    assert.match(await inGuest('db', 'ping', '-c', '2', '-W', '10', web), / 0% packet loss/);
    assert.match(await inGuest('web', 'ip', '-o', 'addr', 'show', 'dev', 'eth0'), new RegExp(`inet ${web}/24`));
  });

  await step('the serial console takes what is typed', async () => {
    const options = ['--until', 'sum=42', '--timeout', '60'];
    const { exit, stdout, stderr } = await virga.cli(['console', 'web', ...options], {
      input: '\necho sum=$((40 + 2))\n',
    });
    assert.equal(exit, 0, stderr);
    assert.match(stdout, /sum=42/);
    assert.match(await virga.done('log web'), /sum=42/);
  });

  await step('stop lets the guest shut down', async () => {
    await inGuest('web', 'echo kept >/root/kept && sync');
    assert.equal(await virga.done('stop web --wait --timeout 120'), 'instance web: stopped\n');
    assert.equal(await virsh('domstate', '--reason', domain), 'shut off (shutdown)');
    assert.match(await virga.done('log web'), /Power down/);
    assert.equal((await virga.json('show web')).state, 'stopped');
    assert.equal((await domains()).length, 1);
    const ssh = await virga.cli(['ssh', 'web', '--', 'true']);
    assert.equal(ssh.exit, 4, ssh.stderr);
  });

  await step('start boots it again from the same disk, and user data runs no second time', async () => {
    await inGuest('db', 'true');
    assert.match(await virga.done('start web --wait=ssh'), /^instance web: running at/);
    assert.equal(await virsh('domstate', '--reason', domain), 'running (booted)');
    assert.equal(await inGuest('web', 'cat', '/root/kept'), 'kept');
    assert.equal(await inGuest('web', 'rm /root/user-data-ran && sync && echo removed'), 'removed');
  });

  await step('reboot boots the guest anew in the same domain', async () => {
    const bootId = () => inGuest('web', 'cat', '/proc/sys/kernel/random/boot_id');
    const [earlier, domainId] = [await bootId(), await virsh('domid', domain)];
    await virga.done('reboot web --wait=ssh');
    const later = await until(
      'another boot',
      async () => {
        const found = await bootId();
        return found !== earlier && found;
      },
      { timeoutMs: 120_000, intervalMs: 500 },
    );
    assert.match(later, /^[0-9a-f-]{36}$/);
    assert.match(domainId, /^\d+$/);
    assert.equal(await virsh('domstate', domain), 'running');
    assert.equal(await inGuest('web', 'ls /root/user-data-ran 2>/dev/null; echo none'), 'none');
  });

  await step('destroy cuts it off', async () => {
    assert.equal(await virga.done('destroy web --wait'), 'instance web: stopped\n');
    assert.equal(await virsh('domstate', '--reason', domain), 'shut off (destroyed)');
  });

  await step('events and operations tell all of it', async () => {
    const events = await virga.json(`events --limit 1000 --resource ${id}`);
    type Told = { type: string; category: string };
    const typesOf = (told: Told[]) => told.map(({ type }) => type.replace('instance.', ''));
    const story = 'launch stop start reboot destroy'.split(' ');
    const asked = typesOf(events.filter(({ category }: Told) => category === 'audit'));
    assert.deepEqual(
      asked.filter((type) => type !== 'console-opened'),
      story.map((verb) => `${verb}-requested`),
    );
    assert.ok(asked.includes('console-opened'));
    const happened = typesOf(events.filter(({ category }: Told) => category !== 'audit'));
    assert.deepEqual(happened, ['started', 'stopped', 'started', 'rebooted', 'stopped']);
    assert.ok(events.every(({ message }: { message: string }) => /\bweb\b.*\.$/.test(message)));
    const operations = await virga.json('operations --resource web');
    assert.ok(operations.length >= story.length);
    assert.ok(operations.every(({ state }: { state: string }) => state === 'succeeded'));
  });

  await step('delete asks first, and then leaves nothing of it', async () => {
    const unsure = await virga.cli(['delete', 'web', '--wait']);
    assert.equal(unsure.exit, 2);
    assert.match(unsure.stderr, /--yes/);
    assert.ok((await domains('--all')).includes(domain));
    assert.equal(await virga.done('delete web --yes --wait'), 'instance web: deleted\n');
    assert.ok(!(await domains('--all')).includes(domain));
    // The other one never noticed.
    assert.equal(await inGuest('db', 'hostname'), 'db');
    assert.equal(await virga.done('delete db --yes --wait'), 'instance db: deleted\n');
    assert.deepEqual(await domains('--all'), []);
    const network = (await virsh('net-list', '--name')).trim();
    for (const which of [[], ['--inactive']]) {
      assert.doesNotMatch(await virsh('net-dumpxml', network, ...which), /<host /);
    }
    assert.deepEqual(await takeInventory(virga), empty);
    assert.equal((await virga.cli(['show', 'web'])).exit, 3);
    const [last] = (await virga.json(`events --limit 1000 --resource ${id}`)).slice(-1);
    assert.equal(last.type, 'instance.deleted');
  });
});
