// Host CPUs that belong to instances, on a simulated host with two nodes and hyper-threads: given once each, given back when an
// instance stops, the same after a server was killed; and moved while guests run.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { HostId, InstanceId } from '@virga/contract/ids';
import type { Instance, LaunchInstance } from '@virga/contract/rest/instances';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { insertInstanceType } from '../hosts/instance-type-operations.ts';
import { getCpuBaseline, setCpuBaseline } from '../placement/cpu-baseline.ts';
import { coresOf } from '../placement/cpu-grant.ts';
import { reserveCpus } from '../placement/cpu-pools.ts';
import { hostCpuReport } from '../placement/host-cpu-report.ts';
import { changeCpu, pinInstance } from './change-cpu.ts';
import { deleteInstance, launchInstance, listInstances, startInstance, stopInstance } from './instance-operations.ts';
import { resizeInstance } from './resize-instance.ts';

let cloud: SimulatedCloud;
before(async () => {
  // CPUs 0-7 are the first threads of the cores, 8-15 the second; 0-3 and 8-11 are of node 0.
  const host = { cpuThreads: 16, threadsPerCore: 2, numaNodes: 2, memoryMib: 16_384 };
  cloud = await SimulatedCloud.start({ hosts: [host], settings: { reconcilePeriodMs: 300, resyncPeriodMs: 300 } });
  await cloud.prepare();
  await cloud.deps.db.transaction().execute(async (tx) => {
    const size = { memoryMib: 256, diskGib: 1 };
    await insertInstanceType(tx, cloud.administrator, { name: 'own-1', vcpus: 1, ...size, cpuPolicy: 'dedicated' });
    await insertInstanceType(tx, cloud.administrator, {
      ...{ name: 'own-2', vcpus: 2, ...size, cpuPolicy: 'dedicated' },
      ...{ cpuShares: 300, cpuCapPercent: 80 },
    });
  });
});
after(() => cloud.close());
afterEach(async () => {
  for (const { id } of (await listInstances(cloud.deps.db, cloud.operator, {})).items) {
    await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  }
  await reserveCpus(cloud.deps.db, cloud.administrator, await hostId(), []);
  await cloud.assertNothingLeft();
  assert.deepEqual(await owned(), []);
  await assertExact();
});

const hostId = async (): Promise<HostId> =>
  (await cloud.deps.db.selectFrom('hosts').select('id').executeTakeFirstOrThrow()).id;

const owned = () => cloud.deps.db.selectFrom('host_cpus').selectAll().orderBy('cpu').execute();

const ask = (name: string, changes: Partial<LaunchInstance> = {}) =>
  launchInstance(cloud.deps, cloud.operator, { ...launchOf(name), ...changes });

async function launch(name: string, changes: Partial<LaunchInstance> = {}): Promise<Instance> {
  const { instance, operationId } = await ask(name, changes);
  await cloud.succeeded(operationId);
  return cloud.instance(instance.id);
}

async function stop(id: InstanceId): Promise<void> {
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id, { timeoutSeconds: 0 })).operationId);
}

const start = (id: InstanceId) => startInstance(cloud.deps, cloud.operator, id);

/** Where each vCPU of each guest may run, as its host shows it, once the host has been told of the last change. */
async function places(): Promise<Record<string, number[][]>> {
  await until('the host has been told', async () => {
    const host = await cloud.deps.db.selectFrom('hosts').selectAll().executeTakeFirstOrThrow();
    return host.cpu_generation === host.cpu_converged_generation;
  });
  const report = await hostCpuReport(cloud.deps, cloud.administrator, await hostId(), 50, new AbortController().signal);
  return Object.fromEntries(
    report.guests.map(({ name, threads }) => [
      name,
      threads.filter(({ kind }) => kind === 'vcpu').map(({ allowedCpus }) => allowedCpus),
    ]),
  );
}

/** No CPU twice, no core two owners, all vCPUs of who is on, and nothing of who is off. */
async function assertExact(): Promise<void> {
  const rows = await owned();
  assert.equal(new Set(rows.map(({ cpu }) => cpu)).size, rows.length);
  const { facts } = await cloud.deps.db.selectFrom('hosts').select('facts').executeTakeFirstOrThrow();
  for (const core of coresOf((facts as unknown as HostFacts).cpus)) {
    const owners = new Set(core.map(({ id }) => rows.find(({ cpu }) => cpu === id)?.instance_id));
    assert.equal(owners.size, 1, `core of CPU ${core[0]?.id}`);
  }
  const instances = await cloud.deps.db.selectFrom('instances').selectAll().execute();
  for (const { id, name, allocated, cpu_policy, vcpus, surplus_vcpus } of instances) {
    const own = rows.filter(({ instance_id, vcpu }) => instance_id === id && vcpu !== null).length;
    const expected = allocated && cpu_policy === 'dedicated' ? vcpus + surplus_vcpus : 0;
    assert.equal(own, expected, name);
  }
  const host = await cloud.deps.db.selectFrom('hosts').selectAll().executeTakeFirstOrThrow();
  const promised = instances.reduce((sum, row) => sum + (row.allocated ? row.vcpus + row.surplus_vcpus : 0), 0);
  assert.equal(host.allocated_vcpus, promised);
  const dedicated = rows.filter(({ vcpu }) => vcpu !== null).length;
  const excluded = new Set([...rows.map(({ cpu }) => cpu), ...host.reserved_cpus]).size;
  assert.equal(host.schedulable_vcpus, 4 * (16 - excluded) + dedicated);
  assert.ok(host.allocated_vcpus <= host.schedulable_vcpus);
}

test('of forty launches at once that want CPUs for themselves as many are taken as there are whole cores, and stops and starts change nothing of that', async () => {
  const outcomes = await Promise.allSettled(
    Array.from({ length: 40 }, (_, index) => ask(`own-${index}`, { type: index % 2 ? 'own-1' : 'own-2' })),
  );
  const taken = outcomes.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value);
  // Eight cores, of which one stays for who has none.
  assert.equal(taken.length, 7);
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'NoCapacity');
  }
  for (const { operationId } of taken) await cloud.succeeded(operationId);
  await assertExact();
  const ids = taken.map(({ instance }) => instance.id);
  await Promise.all(ids.slice(0, 4).map(stop));
  await assertExact();
  const newer = await Promise.allSettled(
    Array.from({ length: 10 }, (_, index) => ask(`new-${index}`, { type: 'own-1' })),
  );
  const added = newer.filter((outcome) => outcome.status === 'fulfilled');
  assert.equal(added.length, 4);
  for (const { value } of added) await cloud.succeeded(value.operationId);
  await assertExact();
  await assert.rejects(start(ids[0]!), { code: 'NoCapacity', detail: /CPUs to dedicate/ });
  await Promise.all(added.map(({ value }) => stop(value.instance.id)));
  await Promise.all(ids.slice(0, 4).map(async (id) => cloud.succeeded((await start(id)).operationId)));
  await assertExact();
});

test('a server that is killed at any step of a launch or a stop finds every CPU where it was', async () => {
  for (const point of ['folder', 'define', 'start', 'after applyInstance']) {
    const { instance } = await cloud.killedAt(point, () =>
      ask(`killed-${point.replaceAll(' ', '-').toLowerCase()}`, { type: 'own-2' }),
    );
    await assertExact();
    assert.equal((await cloud.instance(instance.id)).cpu.hostCpus.length, 2, point);
  }
  const [first] = (await listInstances(cloud.deps.db, cloud.operator, {})).items;
  await cloud.killedAt('force-off', () => stopInstance(cloud.deps, cloud.operator, first!.id, { timeoutSeconds: 0 }));
  await assertExact();
  assert.deepEqual((await cloud.instance(first!.id)).cpu.hostCpus, []);
  await cloud.killedAt('cpu-pools', () => start(first!.id));
  await assertExact();
  const [seen] = Object.values(await places()).filter((vcpus) => vcpus.length === 2);
  assert.equal(seen?.flat().length, 2);
});

test('small instances are at home in one node, and leave a CPU of it that becomes somebody else’s, without a restart', async () => {
  const [one, other] = [await launch('one'), await launch('other')];
  assert.notEqual(one.cpu.node, other.cpu.node, 'the one with the most free memory is taken');
  const nodeOf = (cpu: number) => (cpu % 8 < 4 ? 0 : 1);
  const before = await places();
  for (const { name, cpu } of [one, other]) {
    assert.ok(before[name]?.flat().every((id) => nodeOf(id) === cpu.node));
    assert.equal(before[name]?.[0]?.length, 8);
  }
  const own = await launch('own', { type: 'own-1' });
  const [mine] = own.cpu.hostCpus;
  const now = await places();
  assert.deepEqual(now.own, [[mine]]);
  const neighbour = own.cpu.node === one.cpu.node ? 'one' : 'other';
  const core = [mine! % 8, (mine! % 8) + 8];
  assert.deepEqual(
    now[neighbour]?.[0],
    before[neighbour]?.[0]?.filter((id) => !core.includes(id)),
  );
  assert.equal(cloud.host().bootCount(one.id), 1);
  await stop(own.id);
  assert.deepEqual((await places())[neighbour], before[neighbour]);
});

test('a type’s policy, shares and cap hold, a launch may say otherwise, and a larger type brings its own', async () => {
  const typed = await launch('typed', { type: 'own-2' });
  assert.deepEqual([typed.cpu.policy, typed.cpu.shares, typed.cpu.capPercent], ['dedicated', 300, 80]);
  const { cpu } = await launch('other', { type: 'own-2', cpuPolicy: 'shared', cpuShares: 50 });
  assert.deepEqual([cpu.policy, cpu.hostCpus, cpu.shares, cpu.capPercent], ['shared', [], 50, 80]);
  const plain = await launch('plain');
  await cloud.succeeded(
    (await resizeInstance(cloud.deps, cloud.operator, plain.id, { type: 'own-2', restart: true })).operationId,
  );
  const grown = await cloud.instance(plain.id);
  assert.deepEqual([grown.vcpus, grown.cpu.policy, grown.cpu.hostCpus.length], [2, 'dedicated', 2]);
  await assertExact();
});

test('one that grows while it runs keeps its CPUs and gets more; what it gives back with a restart is free again', async () => {
  const { id, cpu } = await launch('web', { type: 'own-1', maxVcpus: 3 });
  await cloud.succeeded((await resizeInstance(cloud.deps, cloud.operator, id, { vcpus: 3 })).operationId);
  const grown = (await cloud.instance(id)).cpu.hostCpus;
  assert.equal(grown.length, 3);
  assert.equal(grown[0], cpu.hostCpus[0]);
  await assertExact();
  await cloud.succeeded(
    (await resizeInstance(cloud.deps, cloud.operator, id, { vcpus: 1, restart: true })).operationId,
  );
  await until('it has given them back', async () => (await cloud.instance(id)).cpu.hostCpus.length === 1);
  await assertExact();
  assert.equal((await owned()).length, 2, 'a core');
});

test('the policy of a running instance is changed without a restart, and back', async () => {
  const { id } = await launch('web');
  const change = async (policy: 'shared' | 'dedicated' | 'numa') => {
    await cloud.succeeded((await changeCpu(cloud.deps, cloud.operator, id, { policy })).operationId);
    await assertExact();
    return (await cloud.instance(id)).cpu;
  };
  const own = await change('dedicated');
  assert.equal(own.hostCpus.length, 1);
  assert.deepEqual((await places()).web, [own.hostCpus]);
  assert.equal((await change('numa')).hostCpus.length, 0);
  await change('shared');
  const again = await changeCpu(cloud.deps, cloud.operator, id, { policy: 'shared' });
  assert.equal((await cloud.ended(again.operationId)).state, 'succeeded');
  await cloud.succeeded((await changeCpu(cloud.deps, cloud.operator, id, { shares: 200, capPercent: 30 })).operationId);
  const { cpu } = await cloud.instance(id);
  assert.deepEqual([cpu.shares, cpu.capPercent], [200, 30]);
  assert.equal(cloud.host().bootCount(id), 1);
  await assert.rejects(changeCpu(cloud.deps, cloud.operator, id, {}), { code: 'InvalidArgument' });
});

test('an administrator names the CPUs, in their order, and they are what it is started with again', async () => {
  const { id } = await launch('web', { type: 'own-2' });
  const pin = (cpus: number[]) => pinInstance(cloud.deps, cloud.administrator, id, { cpus });
  await cloud.succeeded((await pin([13, 4])).operationId);
  assert.deepEqual((await places()).web, [[13], [4]]);
  await assertExact();
  await stop(id);
  const other = await launch('other', { type: 'own-1' });
  await cloud.succeeded((await start(id)).operationId);
  assert.deepEqual((await cloud.instance(id)).cpu.hostCpus, [13, 4]);
  await assertExact();
  await assert.rejects(pin([1]), { code: 'InvalidArgument', field: '/cpus' });
  await assert.rejects(pin([1, 99]), { code: 'InvalidArgument', detail: /no CPU 99/ });
  await assert.rejects(pin([1, other.cpu.hostCpus[0]!]), { code: 'NoCapacity' });
  const chosen = await changeCpu(cloud.deps, cloud.operator, id, { policy: 'dedicated' });
  await cloud.succeeded(chosen.operationId);
  assert.deepEqual((await cloud.instance(id)).cpu.hostCpus, [13, 4], 'it keeps what it has');
});

test('what a host keeps for itself nobody gets, and it cannot keep what somebody has or needs', async () => {
  const host = await hostId();
  const reserve = (cpus: number[]) => reserveCpus(cloud.deps.db, cloud.administrator, host, cpus);
  const web = await launch('web');
  await reserve([0, 8]);
  assert.ok(!(await places()).web?.flat().some((cpu) => cpu === 0 || cpu === 8));
  const own = await launch('own', { type: 'own-1' });
  await assertExact();
  await assert.rejects(reserve([0, own.cpu.hostCpus[0]!]), { code: 'InUse', detail: /own has CPU/ });
  await assert.rejects(reserve([99]), { code: 'InvalidArgument', detail: /no CPU 99/ });
  await stop(own.id);
  await assert.rejects(reserve(Array.from({ length: 16 }, (_, cpu) => cpu)), { code: 'InvalidArgument' });
  const many = await Promise.all([1, 2, 3, 4].map((index) => launch(`many-${index}`)));
  assert.equal(many.length, 4);
  const all = Array.from({ length: 15 }, (_, cpu) => cpu);
  await assert.rejects(reserve(all), { code: 'NoCapacity', detail: /promised 5 vCPU/ });
  await assert.rejects(pinInstance(cloud.deps, cloud.administrator, web.id, { cpus: [8] }), {
    code: 'InvalidArgument',
    detail: /keeps CPU 8/,
  });
});

test('what somebody does with virsh to where a guest runs is told and set right, and changes nothing of the instance', async () => {
  const own = await launch('own', { type: 'own-1' });
  const [cpu] = own.cpu.hostCpus;
  const present = (await places()).own;
  cloud.host().pinOutside(own.id, [cpu === 5 ? 6 : 5]);
  cloud.host().weighOutside(own.id, { shares: 900, capPercent: 10 });
  const event = await until('it is told', async () =>
    cloud.deps.db
      .selectFrom('events')
      .select(['message', 'data'])
      .where('resource_id', '=', own.id)
      .where('type', '=', 'instance.changed-outside')
      .executeTakeFirst(),
  );
  assert.match(event.message, /vCPU 0 could run on CPU [56] instead of \d+.*900 shares instead of 100.*capped at 10 %/);
  assert.deepEqual((await places()).own, present);
  const now = await cloud.instance(own.id);
  assert.deepEqual([now.generation, now.cpu], [own.generation, own.cpu]);
});

test('guests are given what all hosts have in common, when that is wanted', async () => {
  const shown = await getCpuBaseline(cloud.deps, cloud.administrator);
  assert.equal(shown.model, null);
  assert.equal(shown.baseline?.name, 'Simulated');
  const used = await setCpuBaseline(cloud.deps, cloud.administrator, 'baseline');
  assert.deepEqual(used.model, used.baseline);
  assert.deepEqual(
    used.hosts.map(({ canGive }) => canGive),
    [true],
  );
  const { id } = await launch('web');
  await places();
  assert.match(await cloud.host().domainXml(id), /<cpu mode='custom'[^>]*>\s*<model[^>]*>Simulated</);
  assert.equal((await setCpuBaseline(cloud.deps, cloud.administrator, 'host')).model, null);
});

test('of several hosts the one with whole cores is taken, whoever has more memory, and on a host with one node sharing again gives all back', async () => {
  const pair = await SimulatedCloud.start({
    hosts: [
      { cpuThreads: 2, memoryMib: 8192 },
      { cpuThreads: 8, memoryMib: 4096 },
    ],
  });
  try {
    await pair.prepare();
    const { deps, operator } = pair;
    const ask = (name: string, cpuPolicy: 'dedicated' | 'isolated') =>
      launchInstance(deps, operator, { ...launchOf(name), cpuPolicy });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, index) => ask(`own-${index}`, 'dedicated')),
    );
    const taken = outcomes.filter((outcome) => outcome.status === 'fulfilled').map(({ value }) => value);
    for (const { operationId } of taken) await pair.succeeded(operationId);
    const hosts = taken.map(({ instance }) => instance.hostName).sort();
    assert.deepEqual(hosts, ['host-1', ...Array.from({ length: 7 }, () => 'host-2')]);
    await assert.rejects(ask('isolated', 'isolated'), { code: 'NoCapacity', detail: /isolated CPUs/ });
    for (const { instance } of taken) {
      await pair.succeeded((await changeCpu(deps, operator, instance.id, { policy: 'shared' })).operationId);
    }
    assert.deepEqual(await deps.db.selectFrom('host_cpus').selectAll().execute(), []);
    const promised = await deps.db.selectFrom('hosts').select(['schedulable_vcpus']).orderBy('name').execute();
    assert.deepEqual(
      promised.map(({ schedulable_vcpus }) => schedulable_vcpus),
      [8, 32],
    );
  } finally {
    await pair.close();
  }
});
