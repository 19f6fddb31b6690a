// What somebody does with `virsh migrate` between two hosts of one cloud: nothing is touched while a guest is on its way, it never
// runs twice, and what it holds of processors and memory is counted on one host at every moment. Two simulated hosts, which see
// the same folder of an instance.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { HostId, InstanceId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { insertInstanceType } from '../hosts/instance-type-operations.ts';
import { createVolume } from '../volumes/create-volume.ts';
import { attachVolume } from './attach-volume.ts';
import { deleteInstance, launchInstance, listInstances, startInstance, stopInstance } from './instance-operations.ts';

let cloud: SimulatedCloud;
before(async () => {
  // Seven of eight CPUs can be dedicated, on the one host and on the other.
  const host = { cpuThreads: 8, memoryMib: 16_384, numaNodes: 2 };
  cloud = await SimulatedCloud.start({
    hosts: [host, host],
    settings: { reconcilePeriodMs: 200, resyncPeriodMs: 300, factsPeriodMs: 200 },
  });
  await cloud.prepare();
  await cloud.deps.db.transaction().execute(async (tx) => {
    const size = { memoryMib: 256, diskGib: 1, cpuPolicy: 'dedicated' } as const;
    for (const vcpus of [2, 3, 6]) {
      await insertInstanceType(tx, cloud.administrator, { name: `own-${vcpus}`, vcpus, ...size });
    }
    const paged = { name: 'paged', vcpus: 1, memoryMib: 64, diskGib: 1, hugePageKib: 2048, cpuPolicy: 'numa' } as const;
    await insertInstanceType(tx, cloud.administrator, paged);
  });
});
after(() => cloud.close());
afterEach(async () => {
  for (const { id } of (await listInstances(cloud.deps.db, cloud.operator, {})).items) {
    await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  }
  await until('nothing is left', async () => {
    const seen = await Promise.all([0, 1].map((index) => cloud.host(index).listInstances(cloud.deps.cloudId)));
    return seen.flat().length === 0;
  });
  await assertExact();
  await until('no lease is left', async () => (await leases(0)).length + (await leases(1)).length === 0);
});

const hostIds = async (): Promise<HostId[]> =>
  (await cloud.deps.db.selectFrom('hosts').select('id').orderBy('name').execute()).map(({ id }) => id);

async function leases(index: number): Promise<string[]> {
  const networks = await cloud.host(index).listNetworks(cloud.deps.cloudId);
  return networks.flatMap((network) => network.leases.map(({ mac }) => mac));
}

const pagesOf = async (index: number) =>
  (await cloud.deps.db.selectFrom('hosts').select('huge_2m_pages').orderBy('name').execute())[index]!.huge_2m_pages;

const row = (id: InstanceId) =>
  cloud.deps.db.selectFrom('instances').selectAll().where('id', '=', id).executeTakeFirstOrThrow();

/** Index of the host that has the instance. */
const homeOf = async (id: InstanceId) => (await hostIds()).indexOf((await row(id)).host_id);

async function launch(name: string, type = 'own-2'): Promise<{ id: InstanceId; from: number; to: number }> {
  const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, { ...launchOf(name), type });
  await cloud.succeeded(operationId);
  const from = await homeOf(instance.id);
  return { id: instance.id, from, to: 1 - from };
}

/** What is promised on each host is what those hold that are of it, and no CPU belongs to two, or to one of another host. */
async function assertExact(): Promise<void> {
  const [hosts, instances, cpus, homes] = await cloud.deps.db
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(
      async (tx) =>
        [
          await tx.selectFrom('hosts').selectAll().execute(),
          await tx.selectFrom('instances').selectAll().execute(),
          await tx.selectFrom('host_cpus').selectAll().execute(),
          await tx.selectFrom('instance_nodes').selectAll().execute(),
        ] as const,
    );
  for (const host of hosts) {
    const held = instances.filter(({ host_id, allocated }) => host_id === host.id && allocated);
    const sum = (of: (one: (typeof held)[number]) => number) => held.reduce((total, one) => total + of(one), 0);
    assert.equal(
      host.allocated_vcpus,
      sum((one) => one.vcpus + one.surplus_vcpus),
      host.name,
    );
    const ordinary = (one: (typeof held)[number]) => (one.huge_page_kib === null ? one.memory_mib : 0);
    assert.equal(host.allocated_memory_mib, sum(ordinary), host.name);
    assert.equal(
      host.allocated_huge_2m_pages,
      sum((one) => (one.huge_page_kib === 2048 ? one.memory_mib / 2 : 0)),
    );
    assert.ok(host.allocated_vcpus <= host.schedulable_vcpus, host.name);
  }
  for (const { id, host_id, allocated, cpu_policy, vcpus } of instances) {
    const own = cpus.filter(({ instance_id }) => instance_id === id);
    assert.equal(own.filter(({ vcpu }) => vcpu !== null).length, allocated && cpu_policy === 'dedicated' ? vcpus : 0);
    for (const part of [...own, ...homes.filter(({ instance_id }) => instance_id === id)]) {
      assert.equal(part.host_id, host_id);
    }
  }
}

/** Its guest runs on that host only, was not started again, and the host knows what it is to be. */
async function settledOn(id: InstanceId, index: number): Promise<Instance> {
  await until('it is of that host', async () => (await homeOf(id)) === index, { timeoutMs: 20_000 });
  assert.equal((await row(id)).observed_state, 'running');
  await until('the host has been told', async () => {
    const { generation, converged_generation } = await row(id);
    return generation === converged_generation;
  });
  await until('its addresses are there', async () => {
    const macs = (await cloud.instance(id)).networkInterfaces.map(({ mac }) => mac);
    const [here, there] = [await leases(index), await leases(1 - index)];
    return macs.every((mac) => here.includes(mac) && !there.includes(mac));
  });
  await assertExact();
  await assertRunsOnceOn(id, index);
  return cloud.instance(id);
}

const seenOn = async (id: InstanceId, index: number) =>
  (await cloud.host(index).listInstances(cloud.deps.cloudId)).find((instance) => instance.id === id);

async function assertRunsOnceOn(id: InstanceId, index: number): Promise<void> {
  assert.equal((await seenOn(id, index))?.state, 'running');
  assert.equal(cloud.host(index).bootCount(id), 1);
  assert.notEqual((await seenOn(id, 1 - index))?.state, 'running');
}

/** Long enough for every reconciler to have looked at everything more than once. */
async function looksPass(): Promise<void> {
  for (let times = 0; times < 2; times += 1) {
    const since = Date.now();
    await until('a look has passed', async () => Date.now() - since > 350);
  }
}

/** What was told of it since it was launched. */
const eventsOf = async (id: InstanceId) =>
  (await cloud.eventTypes(id)).filter((type) => type !== 'instance.started' && !type.startsWith('instance.launch'));

async function migrated(id: InstanceId, from: number): Promise<void> {
  const migration = cloud.host(from).migrateOutside(id, cloud.host(1 - from));
  migration.arrive();
  migration.undefineSource();
}

test('nothing is done to either host while a guest is on its way; then it is of the new one, with its CPUs, and was never interrupted', async () => {
  const { id, from, to } = await launch('moves');
  const before = await row(id);
  const migration = cloud.host(from).migrateOutside(id, cloud.host(to));
  await looksPass();
  assert.deepEqual([(await row(id)).host_id, (await row(id)).generation], [before.host_id, before.generation]);
  assert.equal((await cloud.instance(id)).state, 'running');
  assert.equal((await seenOn(id, to))?.moving, true);
  await assertExact();
  migration.arrive();
  migration.undefineSource();
  const moved = await settledOn(id, to);
  assert.equal(moved.hostName, `host-${to + 1}`);
  assert.equal(moved.state, 'running');
  assert.deepEqual(await eventsOf(id), ['instance.moved-outside']);
  const [told] = await cloud.deps.db
    .selectFrom('events')
    .selectAll()
    .where('type', '=', 'instance.moved-outside')
    .where('resource_id', '=', id)
    .execute();
  assert.match(told!.message, /from host host-\d to host host-\d/);
  const cpus = await cloud.deps.db.selectFrom('host_cpus').selectAll().where('instance_id', '=', id).execute();
  assert.equal(cpus.length, 2);
});

test('a migration that is broken off leaves everything as it was', async () => {
  const { id, from, to } = await launch('stays');
  const migration = cloud.host(from).migrateOutside(id, cloud.host(to));
  await looksPass();
  migration.abort();
  await looksPass();
  await settledOn(id, from);
  assert.deepEqual(await eventsOf(id), []);
});

test('a definition that stays behind on the old host is not started there, and goes when the instance is deleted', async () => {
  const { id, from, to } = await launch('leaves-definition');
  cloud.host(from).migrateOutside(id, cloud.host(to)).arrive();
  await settledOn(id, to);
  // Why a domain is off is not known after a restart of its host.
  cloud.host(from).rebootHost();
  await looksPass();
  await settledOn(id, to);
  assert.equal((await seenOn(id, from))?.state, 'stopped');
});

test('guests that change places at the same time, there and back, are each counted once', async () => {
  const pair = [await launch('first', 'own-3'), await launch('second', 'own-3')];
  assert.notEqual(pair[0]!.from, pair[1]!.from);
  for (const turn of [0, 1, 2]) {
    const homes = await Promise.all(pair.map(({ id }) => homeOf(id)));
    await Promise.all(pair.map(({ id }, index) => migrated(id, homes[index]!)));
    for (const [index, { id }] of pair.entries()) await settledOn(id, 1 - homes[index]!);
    assert.deepEqual((await eventsOf(pair[0]!.id)).length, turn + 1);
  }
});

test('where there are no CPUs for it, that is told, nothing is promised twice, and it is followed once there are', async () => {
  const { id, from, to } = await launch('wants-cpus');
  const filling = await launch('fills', 'own-6');
  assert.equal(filling.from, to);
  await migrated(id, from);
  await until('it is told', async () => (await cloud.instance(id)).state === 'error');
  await looksPass();
  assert.match((await cloud.instance(id)).stateReason ?? '', /moved beside Virga from host .* CPUs to dedicate/);
  assert.deepEqual(await eventsOf(id), ['instance.failed']);
  assert.equal(await homeOf(id), from);
  await assertExact();
  await assertRunsOnceOn(id, to);
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, filling.id)).operationId);
  assert.equal((await settledOn(id, to)).state, 'running');
});

test('huge pages go along, in a node that has them; on a host that has too few that is told', async () => {
  cloud.host(0).reserveHugePages(2048, 32, 1);
  await until('the host tells of its huge pages', async () => (await pagesOf(0)) === 32);
  const { id, from, to } = await launch('on-huge-pages', 'paged');
  assert.equal(from, 0);
  await migrated(id, from);
  await until('it is told', async () => (await cloud.instance(id)).state === 'error');
  assert.match((await cloud.instance(id)).stateReason ?? '', /huge pages/);
  assert.equal(await homeOf(id), from);
  await assertExact();
  cloud.host(to).reserveHugePages(2048, 32, 1);
  await settledOn(id, to);
  const homes = await cloud.deps.db.selectFrom('instance_nodes').select('node').where('instance_id', '=', id).execute();
  assert.deepEqual(homes, [{ node: 1 }]);
  for (const index of [0, 1]) {
    cloud.host(index).reserveHugePages(2048, 0, 1);
  }
});

test('an instance whose volume its new host does not have is not taken for that host', async () => {
  const { id, from } = await launch('has-volume');
  const made = await createVolume(cloud.deps, cloud.operator, { name: 'data', sizeGib: 1, instance: 'has-volume' });
  await cloud.succeeded(made.operationId);
  await cloud.succeeded((await attachVolume(cloud.deps, cloud.operator, id, { volume: 'data' })).operationId);
  const migration = cloud.host(from).migrateOutside(id, cloud.host(1 - from));
  migration.arrive();
  await until('it is told', async () => (await cloud.instance(id)).state === 'error');
  assert.match((await cloud.instance(id)).stateReason ?? '', /does not have the volume data/);
  assert.equal(await homeOf(id), from);
  await assertExact();
  cloud
    .host(1 - from)
    .migrateOutside(id, cloud.host(from))
    .arrive();
  await until('it is well again', async () => (await cloud.instance(id)).state === 'running');
  assert.equal(await homeOf(id), from);
});

test('of an old host that is away, libvirt on the new one says enough: it can never run there again', async () => {
  const { id, from, to } = await launch('evacuated');
  const migration = cloud.host(from).migrateOutside(id, cloud.host(to));
  cloud.host(from).goUnreachable();
  await looksPass();
  assert.equal(await homeOf(id), from);
  migration.arrive();
  migration.undefineSource();
  await until('it is followed', async () => (await homeOf(id)) === to);
  await assertExact();
  cloud.host(from).comeBack();
  await cloud.hostsAreReady();
  await settledOn(id, to);
});

test('while another host is away, what has vanished is not started again: it may run there', async () => {
  const { id, from, to } = await launch('vanishes');
  cloud.host(to).goUnreachable();
  await migrated(id, from);
  await until('it is told', async () => (await cloud.instance(id)).state === 'error');
  await looksPass();
  assert.match((await cloud.instance(id)).stateReason ?? '', /may run on host-\d, which cannot be reached/);
  await assertExact();
  assert.equal((await seenOn(id, from))?.state, 'absent');
  cloud.host(to).comeBack();
  await settledOn(id, to);
});

test('what happened while the server was down, or was killed while it followed, is followed by the next one', async () => {
  const { id, from, to } = await launch('unseen');
  await cloud.stop();
  await migrated(id, from);
  await cloud.startAgain();
  await settledOn(id, to);
  assert.deepEqual(await eventsOf(id), ['instance.moved-outside']);
  const reached = cloud.freezeAt('after applyInstance');
  await migrated(id, to);
  await reached;
  await assertExact();
  await cloud.kill();
  await cloud.startAgain();
  await settledOn(id, from);
  assert.deepEqual(await eventsOf(id), ['instance.moved-outside', 'instance.moved-outside']);
});

test('one that was off is followed with its definition, and one that was started there is on from then on', async () => {
  const { id, from, to } = await launch('off');
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id, { timeoutSeconds: 0 })).operationId);
  await migrated(id, from);
  await until('it is of the other host', async () => (await homeOf(id)) === to);
  await until('it is stopped', async () => (await cloud.instance(id)).state === 'stopped');
  await assertExact();
  const back = cloud.host(to).migrateOutside(id, cloud.host(from));
  back.arrive();
  cloud.host(from).startOutside(id);
  await until('it is back', async () => (await homeOf(id)) === from);
  await until('it is on', async () => (await cloud.instance(id)).state === 'running');
  assert.equal((await cloud.instance(id)).desiredState, 'running');
  await assertExact();
});

test('a guest that somebody has on two hosts at once is told of, and left alone on both', async () => {
  const { id, from, to } = await launch('twice');
  cloud.host(from).migrateOutside(id, cloud.host(to)).arrive();
  cloud.host(from).startOutside(id);
  await until('it is told', async () => (await cloud.instance(id)).state === 'error');
  assert.match((await cloud.instance(id)).stateReason ?? '', /runs on the hosts host-\d and host-\d at once/);
  await looksPass();
  for (const index of [from, to]) assert.equal((await seenOn(id, index))?.state, 'running');
  await assertExact();
  cloud.host(from).destroyOutside(id);
  cloud.host(from).undefineOutside(id);
  await until('it is of the other host', async () => (await homeOf(id)) === to);
  await until('it is well', async () => (await cloud.instance(id)).state === 'running');
});

test('what has gone to a host that is not of the cloud is not started again until that is asked for', async () => {
  const { id, from } = await launch('leaves');
  const migration = cloud.host(from).migrateOutside(id, cloud.strangeHost());
  migration.arrive();
  migration.undefineSource();
  await until('it is told', async () => (await cloud.instance(id)).state === 'error');
  await looksPass();
  assert.match((await cloud.instance(id)).stateReason ?? '', /to a host that is not of this cloud/);
  assert.equal((await seenOn(id, from))?.state, 'absent');
  await assertExact();
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id, { timeoutSeconds: 0 })).operationId);
  await cloud.succeeded((await startInstance(cloud.deps, cloud.operator, id)).operationId);
  assert.equal((await cloud.instance(id)).state, 'running');
  assert.equal((await seenOn(id, from))?.state, 'running');
});
