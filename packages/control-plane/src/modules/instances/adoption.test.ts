// Domains of somebody else become instances, and instances become domains of somebody else: rows, room, addresses.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Instance } from '@virga/contract/rest/instances';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { deleteImage } from '../images/image-operations.ts';
import { deleteNetwork, getNetwork } from '../networks/network-operations.ts';
import { adoptInstance } from './adopt-instance.ts';
import { deleteInstance, stopInstance } from './instance-operations.ts';
import { releaseInstance } from './release-instance.ts';
import { updateInstance } from './update-instance.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: [{ memoryMib: 4096 }], settings: { resyncPeriodMs: 100 } });
  await cloud.prepare({ cidr: '10.77.0.0/28' });
});
after(() => cloud.close());

const hostRow = () => cloud.deps.db.selectFrom('hosts').selectAll().executeTakeFirstOrThrow();
const promised = async () => {
  const { allocated_vcpus, allocated_memory_mib } = await hostRow();
  return { vcpus: allocated_vcpus, memoryMib: allocated_memory_mib };
};
const adopt = (domain: string, name?: string) => adoptInstance(cloud.deps, cloud.administrator, { domain, name });
const adopted = async (domain: string, name?: string): Promise<Instance> => {
  const { instance, operationId } = await adopt(domain, name);
  await cloud.succeeded(operationId);
  return cloud.instance(instance.id);
};
const release = async ({ id }: Pick<Instance, 'id'>) =>
  cloud.succeeded((await releaseInstance(cloud.deps, cloud.operator, id)).operationId);
const networkOf = ({ networkInterfaces }: Instance) =>
  getNetwork(cloud.deps.db, cloud.operator, networkInterfaces[0]!.networkId);

test('a running domain is an instance with its sizes counted on its host, and gives them back', async () => {
  const before = await promised();
  cloud.host().defineForeignDomain('win10', { state: 'running', vcpus: 2, memoryMib: 512, boots: 1 });
  const instance = await adopted('win10');
  assert.partialDeepStrictEqual(instance, {
    name: 'win10',
    domainName: 'win10',
    state: 'running',
    origin: 'adopted',
    imageId: null,
    vcpus: 2,
    memoryMib: 512,
    networkInterfaces: [],
  } satisfies Partial<Instance>);
  assert.deepEqual(await promised(), { vcpus: before.vcpus + 2, memoryMib: before.memoryMib + 512 });
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, instance.id)).operationId);
  assert.deepEqual(await promised(), before);
  await release(instance);
  assert.equal(cloud.host().bootsOf('win10'), 1);
  assert.deepEqual((await cloud.eventTypes(instance.id)).at(-1), 'instance.released');
});

test('what cannot be adopted is refused before anything changes', async () => {
  const { db } = cloud.deps;
  const host = cloud.host();
  host.defineForeignDomain('Old Server', {});
  host.defineForeignDomain('fleeting', { state: 'running', persistent: false });
  host.defineForeignDomain('huge', { state: 'running', memoryMib: 1_000_000 });
  const launched = await cloud.launch('mine');
  await assert.rejects(adopt('nobody'), { code: 'NotFound', field: '/domain' });
  await assert.rejects(adopt('Old Server'), { code: 'InvalidArgument', field: '/name' });
  await assert.rejects(adopt('fleeting'), { code: 'Conflict', detail: /transient/ });
  await assert.rejects(adopt('huge'), { code: 'NoCapacity', detail: /1000000 MiB are needed/ });
  await assert.rejects(adopt(launched.domainName), { code: 'Conflict', field: '/domain' });
  await assert.rejects(adopt('Old Server', 'mine'), { code: 'NameTaken', field: '/name' });
  assert.deepEqual(
    (await db.selectFrom('instances').select('name').execute()).map(({ name }) => name),
    ['mine'],
  );
  assert.equal((await adopted('Old Server', 'old-server')).state, 'stopped');
});

test('one domain that is adopted twice at the same time has one owner', async () => {
  cloud.host().defineForeignDomain('twice', {});
  const outcomes = await Promise.allSettled([adopt('twice', 'one'), adopt('twice', 'other')]);
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  for (const outcome of outcomes) if (outcome.status === 'fulfilled') await cloud.succeeded(outcome.value.operationId);
});

test('an adoption that its host refuses for good leaves the domain as it was, and no row', async () => {
  const host = cloud.host();
  host.defineForeignDomain('unlucky', { state: 'running', boots: 1 });
  host.failNext('adopt', 'HypervisorRefused');
  const { instance, operationId } = await adopt('unlucky');
  await cloud.failed(operationId);
  await until('the row is gone', async () => {
    const row = await cloud.deps.db
      .selectFrom('instances')
      .select('id')
      .where('id', '=', instance.id)
      .executeTakeFirst();
    return row === undefined;
  });
  assert.deepEqual([host.bootsOf('unlucky'), (await host.inspectForeignDomain('', 'unlucky')).state], [1, 'running']);
  assert.equal((await adopted('unlucky')).state, 'running');
});

test('deleting an adopted instance says that its files stay', async () => {
  cloud.host().defineForeignDomain('temporary', { state: 'running', boots: 1 });
  const { id } = await adopted('temporary');
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  const { message } = await cloud.deps.db
    .selectFrom('events')
    .select('message')
    .where('resource_id', '=', id)
    .where('type', '=', 'instance.deleted')
    .executeTakeFirstOrThrow();
  assert.match(message, /was undefined; its files stay where they are/);
});

test('a released instance keeps its address and its image until its domain is gone', async () => {
  const { db, cloudId } = cloud.deps;
  const launched = await cloud.launch('leaver');
  const [nic] = launched.networkInterfaces;
  await release(launched);
  const network = await networkOf(launched);
  assert.deepEqual(network.reserved, [{ address: nic?.address, mac: nic?.mac, domainName: launched.domainName }]);
  assert.ok((await cloud.host().listNetworks(cloudId))[0]?.leases.some(({ mac }) => mac === nic?.mac));
  await assert.rejects(deleteNetwork(cloud.deps, cloud.operator, network.id), { code: 'InUse', detail: /leaver/ });
  const image = await db.selectFrom('images').select('id').executeTakeFirstOrThrow();
  await assert.rejects(deleteImage(cloud.deps, cloud.operator, image.id), { code: 'InUse' });
  for (let number = 0; number < 3; number++) {
    const other = await cloud.launch(`other-${number}`);
    assert.notEqual(other.networkInterfaces[0]?.address, nic?.address);
  }
  cloud.host().undefineForeignDomain(launched.domainName);
  await until('the address is free', async () => (await networkOf(launched)).reserved.length === 0);
  await until('the host has forgotten it', async () => {
    const [seen] = await cloud.host().listNetworks(cloudId);
    return !seen?.leases.some(({ mac }) => mac === nic?.mac);
  });
  assert.ok((await cloud.eventTypes(launched.id)).includes('instance.released-gone'));
});

test('one that was renamed while it ran is told of by the name that its domain has', async () => {
  const launched = await cloud.launch('former');
  const { operationId } = await updateInstance(cloud.deps, cloud.operator, launched.id, { name: 'later' });
  await cloud.succeeded(operationId);
  await release(launched);
  const [reserved] = (await networkOf(launched)).reserved;
  assert.equal(reserved?.domainName, launched.domainName);
  assert.ok((await cloud.host().listForeignDomains()).some(({ name }) => name === launched.domainName));
  cloud.host().undefineForeignDomain(launched.domainName);
  await until('the address is free', async () => (await networkOf(launched)).reserved.length === 0);
});

test('a released instance that is adopted again has its address again', async () => {
  const launched = await cloud.launch('returner');
  await release(launched);
  const again = await adopted(launched.domainName, 'returner');
  const [nic] = again.networkInterfaces;
  assert.deepEqual(
    [nic?.address, nic?.mac],
    [launched.networkInterfaces[0]?.address, launched.networkInterfaces[0]?.mac],
  );
  assert.notEqual(again.id, launched.id);
  assert.deepEqual((await networkOf(again)).reserved, []);
  assert.equal(cloud.host().bootCount(again.id), 1);
});

test('what is not there yet, or on its way out, is not released', async () => {
  const host = cloud.host();
  host.defineForeignDomain('later', {});
  host.failNext('adopt', 'HostUnavailable', { times: 1_000 });
  const { instance, operationId } = await adopt('later');
  await assert.rejects(releaseInstance(cloud.deps, cloud.operator, instance.id), { code: 'Conflict' });
  host.stopFailing();
  await cloud.succeeded(operationId);
  host.failNext('undefine', 'HostUnavailable', { times: 1_000 });
  const deletion = await deleteInstance(cloud.deps, cloud.operator, instance.id);
  await assert.rejects(releaseInstance(cloud.deps, cloud.operator, instance.id), { code: 'Conflict' });
  host.stopFailing();
  await cloud.succeeded(deletion.operationId);
});

for (const point of ['adopt', 'after applyInstance']) {
  test(`a server that is killed at "${point}" of an adoption leaves one owner, and the next goes on`, async () => {
    const name = `orphan-${point.replaceAll(/\W/g, '').toLowerCase()}`;
    cloud.host().defineForeignDomain(name, { state: 'running', boots: 1 });
    const frozen = cloud.freezeAt(point);
    const { instance, operationId } = await adopt(name);
    await frozen;
    await cloud.kill();
    await cloud.startAgain();
    await cloud.succeeded(operationId);
    assert.equal((await cloud.instance(instance.id)).state, 'running');
    await assert.rejects(cloud.host().inspectForeignDomain('', name), { code: 'Conflict' });
    assert.equal(cloud.host().bootsOf(name), 1);
  });
}

for (const point of ['release-files', 'release', 'after releaseInstance']) {
  test(`a server that is killed at "${point}" of a release loses neither the domain nor its address`, async () => {
    const launched = await cloud.launch(`left-${point.replaceAll(/\W/g, '').toLowerCase()}`);
    const frozen = cloud.freezeAt(point);
    const { operationId } = await releaseInstance(cloud.deps, cloud.operator, launched.id);
    await frozen;
    await cloud.kill();
    await cloud.startAgain();
    await cloud.succeeded(operationId);
    assert.equal((await cloud.host().inspectForeignDomain('', launched.domainName)).state, 'running');
    const { reserved } = await networkOf(launched);
    assert.ok(reserved.some(({ address }) => address === launched.networkInterfaces[0]?.address));
    cloud.host().undefineForeignDomain(launched.domainName);
  });
}
