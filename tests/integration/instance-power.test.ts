// What becomes of the memory of a real guest: it stands still, lies on disk, goes on, or is lost because that was asked for.
// Driven by the command line, looked at from inside the guest and with virsh.
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

const inGuest = async (...command: string[]) => (await cloud.done(['ssh', 'web', '--', ...command].join(' '))).trim();
const bootId = () => inGuest('cat', '/proc/sys/kernel/random/boot_id');
/** In a file system that is memory only. */
const remembered = () => inGuest('cat', '/run/remembered');

test('memory survives a pause and a hibernation, and nothing else', async (t) => {
  const { virga, image } = { virga: cloud, image: process.env.VIRGA_TEST_STARTER_IMAGE };
  let empty: Inventory;
  let domain = '';
  let id = '';
  let firstBoot = '';
  const step = stepsOf(t);
  const allocated = async () => (await virga.json('hosts'))[0].allocatedMemoryMib;

  await step('a guest runs and remembers something', async () => {
    assert.ok(image && existsSync(image), 'VIRGA_TEST_STARTER_IMAGE names an image');
    await Promise.all([
      virga.done(`images register ${image} --name starter --format qcow2 --login-user root --wait`),
      virga.done('networks create default --cidr 10.202.0.0/24 --wait'),
      virga.done('keys create laptop'),
    ]);
    empty = await takeInventory(virga);
    await virga.done('launch web --image starter --type tiny --wait=ssh');
    ({ domainName: domain, id } = await virga.json('show web'));
    firstBoot = await bootId();
    await inGuest('mount -t tmpfs none /run; echo 42 >/run/remembered');
    assert.equal(await remembered(), '42');
  });

  await step('suspend and resume', async () => {
    assert.equal(await virga.done('suspend web --wait'), 'instance web: paused\n');
    assert.equal(await virsh('domstate', '--reason', domain), 'paused (user)');
    assert.equal((await virga.cli(['reboot', 'web'])).exit, 4);
    assert.match(await virga.done('resume web --wait'), /^instance web: running/);
    assert.deepEqual([await bootId(), await remembered()], [firstBoot, '42']);
  });

  await step('hibernate frees its room; a stop does not lose what was saved', async () => {
    const before = await allocated();
    const begun = performance.now();
    assert.equal(await virga.done('hibernate web --wait'), 'instance web: hibernated\n');
    t.diagnostic(`hibernated in ${Math.round(performance.now() - begun)} ms`);
    assert.equal(await virsh('domstate', domain), 'shut off');
    assert.equal(await virsh('list', '--name', '--with-managed-save', '--all'), domain);
    assert.equal(await allocated(), before - 256);
    const refused = await virga.cli(['stop', 'web']);
    assert.deepEqual([refused.exit, /virga destroy/.test(refused.stderr)], [4, true], refused.stderr);
  });

  await step('the server is started anew, and the guest is woken where it was', async () => {
    await virga.stopServer();
    await virga.startServer();
    assert.equal((await virga.json('show web')).state, 'hibernated');
    const begun = performance.now();
    assert.match(await virga.done('wake web --wait=ssh'), /^instance web: running/);
    t.diagnostic(`woken, until one can log in, in ${Math.round(performance.now() - begun)} ms`);
    assert.deepEqual([await bootId(), await remembered()], [firstBoot, '42']);
    assert.equal(await virsh('list', '--name', '--with-managed-save', '--all'), '');
  });

  await step('a power cycle boots it, by its new name', async () => {
    await virga.done('rename web web-2');
    assert.equal(await virsh('domstate', domain), 'running');
    await virga.done('reboot web-2 --cycle --timeout 120 --wait=ssh');
    ({ domainName: domain } = await virga.json('show web-2'));
    assert.equal(domain, `web-2.${id}`);
    assert.equal(await virsh('domstate', '--reason', domain), 'running (booted)');
    await virga.done('rename web-2 web');
    assert.notEqual(await bootId(), firstBoot);
  });

  for (const command of ['reboot web --mode agent', 'reset web']) {
    await step(`${command} boots it in the same domain`, async () => {
      const [earlier, domainId] = [await bootId(), await virsh('domid', domain)];
      await virga.done(`${command} --wait=ssh`);
      const isAnother = async () => (await bootId()) !== earlier;
      await until('another boot', isAnother, { timeoutMs: 120_000, intervalMs: 500 });
      assert.equal(await virsh('domid', domain), domainId);
    });
  }

  await step('what is destroyed while it hibernates has nothing to be woken from, and boots', async () => {
    await virga.done('hibernate web --wait');
    assert.equal(await virga.done('destroy web --wait'), 'instance web: stopped\n');
    assert.equal((await virga.cli(['wake', 'web'])).exit, 4);
    await virga.done('start web --paused --wait');
    assert.equal((await virga.json('show web')).state, 'paused');
  });

  await step('deleted while it hibernates, it leaves nothing', async () => {
    await virga.done('hibernate web --wait');
    await virga.done('delete web --yes --wait');
    assert.equal(await virsh('list', '--name', '--all'), '');
    assert.deepEqual(await takeInventory(virga), empty);
  });

  await step('events tell all of it', async () => {
    const events = await virga.json(`events --limit 1000 --resource ${id}`);
    const types: string[] = events.map(({ type }: { type: string }) => type.replace('instance.', ''));
    const told = types.filter((type) => !type.endsWith('-requested') && type !== 'changed');
    const first = ['started', 'paused', 'resumed', 'hibernated', 'started', 'rebooted', 'rebooted', 'reset'];
    assert.deepEqual(told, [...first, 'hibernated', 'stopped', 'started', 'hibernated', 'deleted']);
  });
});
