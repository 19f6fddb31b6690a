// What instances are called and what becomes of them when nobody looks, on a real host: virsh sees names, descriptions and tags,
// a crash and the end of a lease are followed, and verbs take a tag instead of names.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import { tinyGuestDisk } from '@virga/host-agent/contract-suite/tiny-guest';
import { childAt, parseXml } from '@virga/host-agent/libvirt/xml';
import { type Hypervisor, startHypervisor } from '@virga/testing/hypervisor';
import { until } from '@virga/testing/until';
import { output } from './run-program.ts';
import { virsh } from './virsh.ts';
import { WholeCloud } from './whole-cloud.ts';

let hypervisor: Hypervisor;
let cloud: WholeCloud;

before(async () => {
  hypervisor = await startHypervisor();
  cloud = await WholeCloud.start();
  const image = join(cloud.folder, 'tiny.raw');
  writeFileSync(image, tinyGuestDisk({ answersAcpi: true }));
  await Promise.all([
    cloud.done(`images register ${image} --name guest --format raw --wait`),
    cloud.done('networks create default --cidr 10.203.0.0/24 --wait'),
  ]);
});

after(async () => {
  await cloud?.close();
  await hypervisor?.close();
});

const launch = (name: string, options = '') =>
  cloud.done(`launch ${name} --image guest --type tiny --no-key --wait ${options}`.trim());
const stateOf = async (name: string): Promise<string> => (await cloud.json(`show ${name}`)).state;
const events = async (id: string): Promise<string[]> =>
  (await cloud.client.listEvents({ query: { resourceId: id } })).items.map(({ type }) => type);
const told = (id: string, type: string) => until(`${type} is told`, async () => (await events(id)).includes(type));

/** Title, description and what Virga keeps of the instance, from the definition as virsh prints it. */
async function definition(domain: string, ...flags: string[]) {
  const xml = parseXml(await virsh('dumpxml', domain, ...flags));
  const kept = JSON.parse(childAt(xml, 'metadata', 'instance')!.text);
  const text = (name: string) => childAt(xml, name)?.text;
  return { name: text('name'), title: text('title'), description: text('description'), tags: kept.keepsake.tags };
}

test('a name, a description and tags are in the domain at once, and after the next start', async () => {
  await launch('web', '--tag env=test');
  const { id, domainName } = await cloud.json('show web');
  const pid = await virsh('domstats', '--state', domainName);
  assert.deepEqual((await definition(domainName)).tags, { env: 'test' });
  await cloud.done('rename web shop');
  const { exit, stderr } = await cloud.cli([
    'set',
    'shop',
    '--description',
    'Sells <things> & more',
    '--tag',
    'env=prod',
    '--tag',
    'tier=1',
  ]);
  assert.equal(exit, 0, stderr);
  const labels = { title: 'shop', description: 'Sells <things> & more', tags: { env: 'prod', tier: '1' } };
  const running = await until('the running domain has it', async () => {
    const found = await definition(domainName);
    return found.tags.tier === '1' && found;
  });
  assert.deepEqual(running, { name: domainName, ...labels });
  const { name: _, ...inactive } = await definition(domainName, '--inactive');
  assert.deepEqual(inactive, labels);
  assert.equal(await virsh('domstats', '--state', domainName), pid, 'nothing was interrupted');
  assert.match(await cloud.done('list --tags'), /shop .* env=prod, tier=1/);

  await cloud.done('stop shop --wait');
  await cloud.done('start shop --wait');
  const renamed = (await cloud.json('show shop')).domainName;
  assert.equal(renamed, `shop.${id}`);
  assert.deepEqual(await definition(renamed), { name: renamed, ...labels });
  const names = (await virsh('list', '--all', '--name')).split('\n');
  assert.deepEqual(
    names.filter((name) => name.includes(id)),
    [renamed],
  );
});

test('a guest that crashes is left off where its policy says so', async () => {
  await launch('fragile', '--on-crash stop');
  const { id, domainName } = await cloud.json('show fragile');
  await output('pkill', '-KILL', '-f', `guest=${domainName}`);
  await told(id, 'instance.crashed');
  await until('it is off', async () => (await stateOf('fragile')) === 'stopped');
  assert.equal(await virsh('domstate', domainName), 'shut off');
});

test('the end of a lease stops the guest, also when the server was away then', async () => {
  await launch('leased');
  const { id } = await cloud.json('show leased');
  const expiresAt = new Date(Date.now() + 5_000).toISOString();
  await cloud.client.updateInstance({ params: { id: id as InstanceId }, body: { expiresAt } });
  await told(id, 'instance.expiring');
  await cloud.stopServer('SIGKILL');
  await until('the lease is over', () => Date.now() > Date.parse(expiresAt));
  await cloud.startServer();
  await told(id, 'instance.stopped');
  const types = (await events(id)).filter((type) => /expir|stopped/.test(type));
  assert.deepEqual(types, ['instance.expiring', 'instance.expired', 'instance.stopped']);
});

test('verbs take a tag instead of names, and what is protected stays', async () => {
  await launch('bulk', '--count 3 --tag group=bulk');
  await cloud.done('set bulk-2 --protect');
  assert.equal((await cloud.done('stop --tag group=bulk --wait')).match(/: stopped$/gm)?.length, 3);
  const { exit, stdout, stderr } = await cloud.cli('delete --tag group=bulk --yes --wait'.split(' '));
  assert.equal(exit, 4);
  assert.equal(stdout.match(/: deleted$/gm)?.length, 2);
  assert.match(stderr, /error: instance bulk-2: Instance bulk-2 is protected from being deleted\./);
  const { exit: none, stderr: said } = await cloud.cli('stop --tag group=none'.split(' '));
  assert.equal(none, 3);
  assert.match(said, /No instance matches --tag group=none\./);
  await cloud.done('set bulk-2 --no-protect');
  await cloud.done('delete --all --yes --wait');
  assert.deepEqual(await cloud.json('list'), []);
});
