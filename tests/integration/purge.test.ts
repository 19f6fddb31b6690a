// A cloud is purged from a machine that has more than that: another cloud, and domains and networks of somebody else. What
// was the cloud's is gone; the others never notice.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { output, runProgram } from './run-program.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let doomed: WholeCloud;
let other: WholeCloud;

before(async () => {
  assert.ok(process.env.VIRGA_TEST_NAMESPACE, 'run it with script/test');
  // A purge takes the command `virga` from the PATH, which the namespaces share with the machine: here it is a copy.
  const programs = join(process.env.VIRGA_TEST_NAMESPACE, 'programs');
  await output('cp', '--archive', '/usr/local/bin', programs);
  await output('mount', '--bind', programs, '/usr/local/bin');
  hypervisor = await startHypervisor();
  doomed = await WholeCloud.start();
  other = await WholeCloud.start();
});

after(async () => {
  await doomed?.close();
  await other?.close();
  await hypervisor?.close();
});

const virsh = async (...words: string[]) => (await output('virsh', ...words)).split('\n').filter((line) => line !== '');

async function launch(
  cloud: WholeCloud,
  cidr: string,
): Promise<{ domainName: string; networkInterfaces: [{ networkId: string }] }> {
  const image = join(cloud.folder, 'guest.raw');
  writeFileSync(image, tinyGuestDisk({ answersAcpi: true }));
  await Promise.all([
    cloud.done(`images register ${image} --name guest --format raw --wait`),
    cloud.done(`networks create default --cidr ${cidr} --wait`),
    cloud.done('types create nano --vcpus 1 --memory 64 --disk 1'),
  ]);
  await cloud.done('launch web --image guest --type nano --wait');
  return cloud.json('show web');
}

/** A domain that runs, and a network, that know nothing of Virga. */
async function makeForeign(folder: string): Promise<void> {
  const [domain, network] = [join(folder, 'domain.xml'), join(folder, 'network.xml')];
  const os = '<os><type>hvm</type></os>';
  writeFileSync(domain, `<domain type='qemu'><name>foreign</name><memory unit='MiB'>64</memory>${os}</domain>`);
  writeFileSync(
    network,
    `<network><name>foreign</name><bridge name='foreign0'/><ip address='10.211.0.1' netmask='255.255.255.0'/></network>`,
  );
  await output('virsh', 'define', domain);
  await output('virsh', 'start', 'foreign');
  await output('virsh', 'net-define', network);
  await output('virsh', 'net-start', 'foreign');
}

test('a purge takes away one cloud, and leaves another one and what is of somebody else', async () => {
  const [gone, kept] = await Promise.all([launch(doomed, '10.209.0.0/24'), launch(other, '10.210.0.0/24')]);
  await makeForeign(other.folder);
  assert.deepEqual((await virsh('list', '--name')).sort(), [gone.domainName, kept.domainName, 'foreign'].sort());
  const networks = await virsh('net-list', '--all', '--name');
  const { networkInterfaces } = gone;
  const lost = networks.filter((name) => name.includes(networkInterfaces[0].networkId));
  assert.equal(lost.length, 1, networks.join(' '));

  const words = ['--conditions=development', WholeCloud.executable, 'down', '--purge', '--yes'];
  const env = { ...process.env, HOME: join(doomed.folder, 'home') };
  const { exit, stdout, stderr } = await runProgram(process.execPath, [...words, '--state', doomed.folders.state], {
    env,
  });
  assert.equal(exit, 0, stderr);
  assert.match(stdout, /The cloud is gone/);

  assert.deepEqual((await virsh('list', '--all', '--name')).sort(), [kept.domainName, 'foreign'].sort());
  const left = networks.filter((name) => !lost.includes(name));
  assert.deepEqual((await virsh('net-list', '--all', '--name')).sort(), left.sort());
  assert.ok(left.includes('foreign'));
  assert.equal(existsSync(doomed.folders.state), false);
  assert.doesNotMatch(await output('ip', 'route'), /10\.209\./);
  assert.equal((await other.json('show web')).state, 'running');
  assert.match(await other.done('launch more --image guest --type nano --wait'), /^instance more: running/);
});
