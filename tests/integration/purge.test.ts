// A cloud is purged from a machine that has more than that: another cloud, and domains and networks of somebody else. What
// was the cloud's is gone, with guests that are kept to be copied and those that are only being made; the others never notice.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { newId } from '@virga/contract/ids';
import type { Snapshot } from '@virga/contract/rest/snapshots';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { cloudIdPath } from 'virga/server/cloud-id';
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

async function purge(cloud: WholeCloud): Promise<string> {
  const words = ['--conditions=development', WholeCloud.executable, 'down', '--purge', '--yes'];
  const env = { ...process.env, HOME: join(cloud.folder, 'home') };
  const { exit, stdout, stderr } = await runProgram(process.execPath, [...words, '--state', cloud.folders.state], {
    env,
  });
  assert.equal(exit, 0, stderr);
  return stdout;
}

async function registerStarter(cloud: WholeCloud): Promise<void> {
  const image = process.env.VIRGA_TEST_STARTER_IMAGE;
  assert.ok(image && existsSync(image), 'VIRGA_TEST_STARTER_IMAGE names an image');
  await cloud.done(`images register ${image} --name starter --format qcow2 --warmable --wait`);
}

/** A pool in a folder that the cloud is not above, with a volume that rests on an image. @returns its path */
async function lieOutside(cloud: WholeCloud): Promise<string> {
  const pool = join(process.env.VIRGA_TEST_NAMESPACE!, 'pool');
  mkdirSync(pool, { mode: 0o711 });
  await cloud.done(`pools create outside --path ${pool}`);
  await until('it is ready', async () => (await cloud.json('pools show outside')).state === 'ready');
  await cloud.done('volumes create rests --image guest --linked --pool outside --wait');
  return pool;
}

/** Begins to keep a guest of that type, and answers while it boots. */
async function beginToKeep(cloud: WholeCloud, type: string): Promise<void> {
  const templates = async () => (await virsh('list', '--name')).filter((name) => name.startsWith('template.'));
  assert.deepEqual(await templates(), []);
  await cloud.done(`images warm starter --type ${type}`);
  await until('its guest boots', async () => (await templates()).length === 1, { timeoutMs: 60_000 });
}

test('a purge takes away one cloud, and leaves another one and what is of somebody else', async () => {
  const [gone, kept] = await Promise.all([launch(doomed, '10.209.0.0/24'), launch(other, '10.210.0.0/24')]);
  await makeForeign(other.folder);
  assert.deepEqual((await virsh('list', '--name')).sort(), [gone.domainName, kept.domainName, 'foreign'].sort());
  const networks = await virsh('net-list', '--all', '--name');
  const { networkInterfaces } = gone;
  const lost = networks.filter((name) => name.includes(networkInterfaces[0].networkId));
  assert.equal(lost.length, 1, networks.join(' '));

  // Its disk rests on that of the other, which is listed first.
  await doomed.done('clone web twin --wait');
  await registerStarter(doomed);
  await doomed.done('images warm starter --type tiny --pool 1 --wait');
  await doomed.done('launch copy --image starter --type tiny --warm always --wait');
  await until('another copy waits', async () => (await doomed.json('images warm'))[0].waiting === 1, {
    timeoutMs: 120_000,
  });
  const pool = await lieOutside(doomed);
  await beginToKeep(doomed, 'small');
  assert.match(await purge(doomed), /The cloud is gone/);

  assert.deepEqual((await virsh('list', '--all', '--name')).sort(), [kept.domainName, 'foreign'].sort());
  const left = networks.filter((name) => !lost.includes(name));
  assert.deepEqual((await virsh('net-list', '--all', '--name')).sort(), left.sort());
  assert.ok(left.includes('foreign'));
  assert.equal(existsSync(doomed.folders.state), false);
  assert.deepEqual([readdirSync(pool), readdirSync(join(pool, 'volumes'))], [['volumes'], []]);
  assert.doesNotMatch(await output('ip', 'route'), /10\.209\./);
  assert.equal((await other.json('show web')).state, 'running');
  assert.match(await other.done('launch more --image guest --type nano --wait'), /^instance more: running/);
});

/** A copy of what a snapshot keeps, as a server leaves it that is killed meanwhile. */
function beginToCopy({ folders }: WholeCloud, { id, instanceId, disks }: Snapshot): void {
  const cloudId = readFileSync(cloudIdPath(folders), 'utf8').trim();
  const volumeId = newId('volume');
  const folder = join(folders.state, 'storage', 'volumes', `.${volumeId}.${cloudId}`);
  mkdirSync(folder);
  const snapshot = { id, instanceId, diskId: disks[0]!.id };
  writeFileSync(join(folder, 'owner.json'), JSON.stringify({ id: volumeId, cloudId, snapshot }));
}

test('a purge takes away what a server was about to keep or copy that was killed', async () => {
  await registerStarter(other);
  await other.done('snapshots create web --name before --wait');
  const snapshot = await other.json('snapshots show before');
  await beginToKeep(other, 'tiny');
  await other.stopServer('SIGKILL');
  beginToCopy(other, snapshot);
  assert.match(await purge(other), /The cloud is gone/);
  assert.deepEqual(await virsh('list', '--all', '--name'), ['foreign']);
  assert.equal(existsSync(other.folders.state), false);
});
