import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type NetworkId, newId } from '@virga/contract/ids';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import { deleteInstance } from '../instances/instance-operations.ts';
import { createNetwork, deleteNetwork, getNetwork, listNetworks } from './network-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: [{}, {}], settings: { resyncPeriodMs: 400 } });
  await cloud.prepare({ cidr: '10.77.0.0/24' });
});
after(() => cloud.close());

const create = (name: string, cidr: string) =>
  createNetwork(cloud.deps, cloud.administrator, { name, cidr, visibility: 'public' });
const onHost = async (id: NetworkId, host = 0) =>
  (await cloud.host(host).listNetworks(cloud.deps.cloudId)).find((network) => network.id === id);

test('a network is made on every host, and removed from every host', async () => {
  const { network, operationId } = await create('both', '10.78.0.0/24');
  assert.equal(network.state, 'pending');
  assert.equal(network.gateway, '10.78.0.1');
  assert.equal(network.addressCount, 253);
  await cloud.succeeded(operationId);
  for (const host of [0, 1]) assert.equal((await onHost(network.id, host))?.active, true);
  assert.equal((await getNetwork(cloud.deps.db, cloud.operator, network.id)).state, 'active');
  await cloud.succeeded((await deleteNetwork(cloud.deps, cloud.operator, network.id)).operationId);
  for (const host of [0, 1]) assert.equal(await onHost(network.id, host), undefined);
  await assert.rejects(getNetwork(cloud.deps.db, cloud.operator, network.id), { code: 'NotFound' });
});

test('a range that overlaps is refused, naming the other network', async () => {
  for (const cidr of ['10.77.0.0/25', '10.77.0.0/16', '10.77.0.0/24']) {
    await assert.rejects(create('other', cidr), (error: { code: string; field: string; detail: string }) => {
      assert.equal(error.code, 'InvalidArgument');
      assert.equal(error.field, '/cidr');
      assert.match(error.detail, /overlaps with network default, which has 10\.77\.0\.0\/24/);
      return true;
    });
  }
});

test('of two overlapping networks that are created at once one is made', async () => {
  const results = await Promise.allSettled([create('one', '10.79.0.0/24'), create('two', '10.79.0.0/25')]);
  const made = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  assert.equal(made.length, 1);
  for (const result of results) if (result.status === 'rejected') assert.equal(result.reason.code, 'InvalidArgument');
  await cloud.succeeded((await deleteNetwork(cloud.deps, cloud.operator, made[0]!.network.id)).operationId);
});

test('a name is taken once', async () => {
  await assert.rejects(create('default', '10.80.0.0/24'), { code: 'NameTaken', field: '/name' });
});

test('a network that a host refuses is removed again, and its operation says why', async () => {
  cloud.host().failNext('start-network', 'HypervisorRefused');
  const { network, operationId } = await create('refused', '10.81.0.0/24');
  assert.equal((await cloud.failed(operationId)).code, 'HypervisorRefused');
  assert.deepEqual((await listNetworks(cloud.deps.db, cloud.operator, { name: 'refused' })).items, []);
  for (const host of [0, 1]) assert.equal(await onHost(network.id, host), undefined);
});

test('a network that instances use is not deleted, and the refusal counts them', async () => {
  const { id, networkInterfaces } = await cloud.launch('web');
  const { networkId } = networkInterfaces[0]!;
  await assert.rejects(deleteNetwork(cloud.deps, cloud.operator, networkId), {
    code: 'InUse',
    detail: /1 instance attached/,
  } as object);
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
});

test('what somebody stops or removes with virsh is brought back, with its leases', async () => {
  const instance = await cloud.launch('web');
  const { networkId, mac, address } = instance.networkInterfaces[0]!;
  const home = instance.hostName === 'host-1' ? 0 : 1;
  const lease = [{ mac, address }];
  const isWhole = async () => {
    const network = await onHost(networkId, home);
    return network?.active === true && JSON.stringify(network.leases) === JSON.stringify(lease);
  };
  assert.ok(await isWhole());
  cloud.host(home).destroyNetworkOutside(networkId);
  await until('it is started again', isWhole);
  cloud.host(home).undefineNetworkOutside(networkId);
  await until('it is made again', isWhole);
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, instance.id)).operationId);
  assert.deepEqual((await onHost(networkId, home))?.leases, []);
});

test('a lease that nobody asked for is taken away', async () => {
  const { id } = (await listNetworks(cloud.deps.db, cloud.operator, { name: 'default' })).items[0]!;
  const row = await cloud.deps.db.selectFrom('networks').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  await cloud.host().applyNetwork({
    id,
    cloudId: cloud.deps.cloudId,
    uuid: row.uuid,
    name: `default.${id}`,
    generation: row.generation,
    kind: 'nat',
    cidr: '10.77.0.0/24',
    gateway: '10.77.0.1',
    bridge: row.bridge,
    leases: [{ mac: '52:54:00:00:00:99', address: '10.77.0.99', hostName: 'stranger' }],
  });
  await until('it is gone', async () => (await onHost(id))?.leases.length === 0);
});

test('a network of this cloud that no row owns is removed', async () => {
  const id = newId('network');
  await cloud.host().applyNetwork({
    id,
    cloudId: cloud.deps.cloudId,
    uuid: uuidOf(id),
    name: `orphan.${id}`,
    generation: 1,
    kind: 'nat',
    cidr: '10.98.0.0/24',
    gateway: '10.98.0.1',
    bridge: 'orphan0',
    leases: [],
  });
  await until('it is gone', async () => (await onHost(id)) === undefined);
});

test('a host that was away when a network was made gets it when it is back', async () => {
  cloud.host(1).goUnreachable();
  const { network, operationId } = await create('late', '10.82.0.0/24');
  await cloud.succeeded(operationId);
  cloud.host(1).comeBack();
  await until('it is there', async () => (await onHost(network.id, 1))?.active === true);
});

test('a network is deleted when the last host is back', async () => {
  const { id } = (await listNetworks(cloud.deps.db, cloud.operator, { name: 'late' })).items[0]!;
  cloud.host(1).goUnreachable();
  const { operationId } = await deleteNetwork(cloud.deps, cloud.operator, id);
  await until('the operation says what it waits for', async () => {
    const row = await cloud.deps.db
      .selectFrom('operations')
      .select('message')
      .where('id', '=', operationId)
      .executeTakeFirstOrThrow();
    return /waiting/.test(row.message);
  });
  assert.equal((await getNetwork(cloud.deps.db, cloud.operator, id)).state, 'deleting');
  cloud.host(1).comeBack();
  await cloud.succeeded(operationId);
});
