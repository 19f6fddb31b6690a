// An instant launch as an operator sees it: warm an image, launch, log in, and find an instance like any other. Driven by the
// command line, looked at from inside the guest and with virsh.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { type Inventory, takeInventory } from './inventory.ts';
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

test('an image is kept warm, a launch begins as a copy, and nothing stays of either', async (t) => {
  const image = process.env.VIRGA_TEST_STARTER_IMAGE;
  assert.ok(image && existsSync(image), 'VIRGA_TEST_STARTER_IMAGE names an image');
  await Promise.all([
    cloud.done(`images register ${image} --name starter --format qcow2 --login-user root --warmable --wait`),
    cloud.done('networks create default --cidr 10.203.0.0/24 --wait'),
    cloud.done('keys create laptop'),
  ]);
  const empty: Inventory = await takeInventory(cloud);
  const [kept] = JSON.parse(await cloud.done('images warm starter --type tiny --pool 1 --wait -o json'));
  assert.deepEqual([kept.state, kept.waiting], ['ready', 1]);
  assert.match(await virsh('list', '--state-paused', '--name'), /^spare\.i-[0-9a-f]{17}$/);
  assert.deepEqual(await cloud.json('list'), [], 'a copy that waits is no instance');

  const begun = performance.now();
  await cloud.done('launch web --image starter --type tiny --warm always --wait=ssh');
  t.diagnostic(`virga launch --wait=ssh, warm: ${((performance.now() - begun) / 1000).toFixed(2)} s`);
  assert.match(await cloud.done('show web'), /^Began +as a copy of a running guest$/m);
  const inGuest = async (command: string) => (await cloud.done(`ssh web -- ${command}`)).trim();
  assert.equal(await inGuest('hostname'), 'web');
  const machineId = await inGuest('cat /etc/machine-id');
  await until('another copy waits', async () => (await cloud.json('images warm'))[0].waiting === 1, {
    timeoutMs: 60_000,
  });

  await cloud.done('reboot web --cycle --timeout 120 --wait=ssh');
  const { domainName } = await cloud.json('show web');
  assert.match(domainName, /^web\./);
  assert.equal(await virsh('domstate', domainName), 'running');
  assert.equal(await inGuest('cat /etc/machine-id'), machineId);

  assert.equal((await cloud.cli(['images', 'delete', 'starter', '--yes'])).exit, 4);
  await cloud.done('delete web --yes --wait');
  await cloud.done('images cool starter');
  await until('nothing is kept', async () => (await cloud.json('images warm')).length === 0, { timeoutMs: 60_000 });
  assert.equal(await virsh('list', '--all', '--name'), '');
  assert.deepEqual(await takeInventory(cloud), empty);
});
