// An address that one guest had, given to the next: the network of this test has just one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
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

test('a guest that gets the address of a deleted one has a network', async () => {
  const image = process.env.VIRGA_TEST_STARTER_IMAGE;
  await Promise.all([
    cloud.done(`images register ${image} --name starter --format qcow2 --login-user root --wait`),
    cloud.done('networks create default --cidr 10.202.0.0/30 --wait'),
    cloud.done('keys create laptop'),
  ]);
  const launched = 'running at 10.202.0.2\n';
  assert.equal(await cloud.done('launch old --image starter --type tiny --wait=ssh'), `instance old: ${launched}`);
  await cloud.done('delete old --yes --wait');
  assert.equal(await cloud.done('launch new --image starter --type tiny --wait=ssh'), `instance new: ${launched}`);
  assert.equal((await cloud.done('ssh new -- hostname')).trim(), 'new');
});
