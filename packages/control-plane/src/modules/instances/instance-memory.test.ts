// Memory of instances on simulated hosts: huge pages that are counted exactly, one project at a time whose memory is merged, a
// floor that nothing is started below, and guests that lend memory.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { type HostId, type InstanceId, newId } from '@virga/contract/ids';
import type { LaunchInstance } from '@virga/contract/rest/instances';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { authorize, type ProjectAccess } from '../../access/authorizer.ts';
import { createInstanceType } from '../hosts/instance-type-operations.ts';
import { updateHost } from '../hosts/update-host.ts';
import { hostMemoryReport } from './host-memory-report.ts';
import { deleteInstance, launchInstance, startInstance, stopInstance } from './instance-operations.ts';
import { hibernateInstance } from './power-operations.ts';
import { resizeInstance } from './resize-instance.ts';
import { updateInstance } from './update-instance.ts';

type Operator = ProjectAccess<'operator'>;

let cloud: SimulatedCloud;
let other: Operator;
before(async () => {
  cloud = await SimulatedCloud.start({
    hosts: [{ memoryMib: 8192 }, { memoryMib: 8192, numaNodes: 2 }],
    settings: { factsPeriodMs: 20 },
  });
  await cloud.prepare();
  const { db } = cloud.deps;
  await db.updateTable('images').set({ visibility: 'public' }).execute();
  await db.updateTable('networks').set({ visibility: 'public' }).execute();
  other = await newProject('other');
  for (const [name, hugePageKib] of [
    ['paged', 2048],
    ['gigantic', 1_048_576],
  ] as const) {
    const memoryMib = hugePageKib === 2048 ? 64 : 1024;
    await createInstanceType(db, cloud.administrator, { name, vcpus: 1, memoryMib, diskGib: 1, hugePageKib });
  }
});
after(() => cloud.close());
afterEach(async () => {
  const { db } = cloud.deps;
  for (const { id, project_id } of await db.selectFrom('instances').select(['id', 'project_id']).execute()) {
    await deleteInstance(cloud.deps, project_id === other.projectId ? other : cloud.operator, id);
  }
  await until('every instance is gone', async () => (await rows()).length === 0);
  for (const index of [0, 1]) {
    cloud.host(index).leaveMemory(null);
    await reserve(index, 2048, 0);
  }
  await until('the hosts tell that they have memory again', async () =>
    (await hosts()).every(({ available_memory_mib: mib }) => mib === null || mib >= 4096),
  );
  const nothing = { vcpuOvercommit: null, memoryOvercommit: null, memoryFloorMib: null, ksmScope: null };
  for (const { id } of await hosts()) await updateHost(cloud.deps, cloud.administrator, id, nothing);
  await cloud.assertNothingLeft();
  for (const host of await hosts()) {
    assert.deepEqual([host.allocated_huge_2m_pages, host.allocated_huge_1g_pages], [0, 0]);
  }
});

async function newProject(name: string): Promise<Operator> {
  const id = newId('project');
  await cloud.deps.db.insertInto('projects').values({ id, name, description: '' }).execute();
  const { id: userId } = await cloud.deps.db.selectFrom('users').select('id').executeTakeFirstOrThrow();
  const caller = { actor: { userId, name: 'admin' }, cloudRole: 'admin', requestId: 'test' } as const;
  return authorize({ ...caller, project: { id, role: 'admin' } }, { scope: 'project', role: 'operator' }) as Operator;
}

const hosts = () => cloud.deps.db.selectFrom('hosts').selectAll().orderBy('name').execute();
const rows = () => cloud.deps.db.selectFrom('instances').selectAll().orderBy('created_at').execute();
const hostId = async (index = 0): Promise<HostId> => (await hosts())[index]!.id;

/** @param all what the host has then */
async function reserve(index: number, sizeKib: 2048 | 1_048_576, count: number, all = count): Promise<void> {
  cloud.host(index).reserveHugePages(sizeKib, count);
  const column = sizeKib === 2048 ? 'huge_2m_pages' : 'huge_1g_pages';
  await until('the host tells of its huge pages', async () => (await hosts())[index]![column] === all);
}

const begin = (operator: Operator = cloud.operator, changes: Partial<LaunchInstance> = {}) =>
  launchInstance(cloud.deps, operator, { ...launchOf(`vm-${randomUUID().slice(0, 8)}`), ...changes });

async function launch(operator?: Operator, changes?: Partial<LaunchInstance>): Promise<InstanceId> {
  const { id } = (await begin(operator, changes)).instance;
  await isIn(id, 'running');
  return id;
}

const isIn = (id: InstanceId, state: string) =>
  until(`${id} is ${state}`, async () => (await rows()).some((row) => row.id === id && row.state === state));
const row = async (id: InstanceId) => (await rows()).find((one) => one.id === id)!;

async function stop(id: InstanceId, operator: Operator = cloud.operator): Promise<void> {
  await stopInstance(cloud.deps, operator, id, { timeoutSeconds: 0 });
  await isIn(id, 'stopped');
}

/** As the agents of both hosts show it. */
async function mergingProjects(): Promise<Set<string>[]> {
  const projectOf = new Map((await rows()).map(({ id, project_id }) => [id, project_id]));
  return Promise.all(
    [0, 1].map(async (index) => {
      const { guests } = await cloud.host(index).hostMemory(cloud.deps.cloudId);
      return new Set(guests.filter(({ mergeable }) => mergeable).map(({ id }) => projectOf.get(id)!));
    }),
  );
}

test('of forty launches on huge pages at once, as many are taken as there are pages for, and none of ordinary memory', async () => {
  await reserve(0, 2048, 7 * 32);
  await reserve(1, 2048, 3 * 32 + 31);
  const outcomes = await Promise.allSettled(Array.from({ length: 40 }, () => begin(undefined, { type: 'paged' })));
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  assert.equal(outcomes.length - refused.length, 10);
  for (const { reason } of refused) {
    assert.equal(reason.code, 'NoCapacity');
    assert.match(reason.detail, /has \d+ of its \d+ huge pages of 2 MiB free; 32 are needed\.$/);
  }
  await until('all of them run', async () => (await rows()).every(({ state }) => state === 'running'));
  const homes = await cloud.deps.db.selectFrom('instance_nodes').select('node').execute();
  assert.deepEqual(homes, [{ node: 0 }, { node: 0 }, { node: 0 }], 'the second host has all its pages there');
  for (const [index, host] of (await hosts()).entries()) {
    assert.equal(host.allocated_huge_2m_pages, [7 * 32, 3 * 32][index]);
    assert.equal(host.allocated_memory_mib, 0);
    assert.equal(host.schedulable_memory_mib, 8192 - 512 - [448, 254][index]!);
    const { hugePages, guests } = await cloud.host(index).hostMemory(cloud.deps.cloudId);
    assert.equal(hugePages.find(({ sizeKib }) => sizeKib === 2048)?.free, [0, 31][index]);
    assert.ok(guests.every(({ mergeable }) => mergeable === false));
  }
});

test('who is bound to a node of a host gets the huge pages of that node, or is refused; others get what is left over', async () => {
  const { db } = cloud.deps;
  const bound = { name: 'bound', vcpus: 1, memoryMib: 64, diskGib: 1, hugePageKib: 2048, cpuPolicy: 'numa' } as const;
  await createInstanceType(db, cloud.administrator, bound);
  cloud.host(1).reserveHugePages(2048, 16, 1);
  await reserve(1, 2048, 48, 64);
  const nodeOf = async (instanceId: InstanceId) =>
    db.selectFrom('instance_nodes').select('node').where('instance_id', '=', instanceId).executeTakeFirst();
  const first = await launch(undefined, { type: 'bound' });
  assert.equal((await nodeOf(first))?.node, 0);
  await assert.rejects(begin(undefined, { type: 'bound' }), {
    code: 'NoCapacity',
    detail: 'No host has a NUMA node with 1 CPUs and 32 huge pages of 2 MiB free there for one instance.',
  });
  const spread = await launch(undefined, { type: 'paged' });
  assert.equal(await nodeOf(spread), undefined);
  await stop(first);
  // Half of the other one may lie in this node.
  await assert.rejects(startInstance(cloud.deps, cloud.operator, first), { code: 'NoCapacity', detail: /NUMA node/ });
  await stop(spread);
  await startInstance(cloud.deps, cloud.operator, first);
  await isIn(first, 'running');
  assert.equal((await nodeOf(first))?.node, 0);
  cloud.host(1).reserveHugePages(2048, 0, 1);
});

test('without huge pages a launch on them says what is missing, and nothing of it exists', async () => {
  await assert.rejects(begin(undefined, { type: 'paged' }), {
    code: 'NoCapacity',
    field: '/type',
    detail: /^No host has enough huge pages: host host-\d has no huge pages of 2 MiB reserved; 32 are needed\.$/,
  });
  for (const index of [0, 1]) cloud.host(index).lackFeature('huge-pages-1g');
  await until('the hosts tell that libvirt has found none', async () =>
    (await hosts()).every(({ facts }) => !facts?.features.includes('huge-pages-1g')),
  );
  await assert.rejects(begin(undefined, { type: 'gigantic' }), {
    code: 'HostIncapable',
    detail: /cannot give guests huge pages of 1 GiB: its libvirtd found no hugetlbfs/,
    action: /^Mount it there and start libvirtd again/,
  });
  for (const index of [0, 1]) cloud.host(index).lackFeature('huge-pages-1g', false);
  assert.deepEqual(await rows(), []);
});

test('huge pages are whole, and all there from the start', async () => {
  const { deps, operator, administrator } = cloud;
  const odd = { name: 'odd', vcpus: 1, memoryMib: 1025, diskGib: 1, hugePageKib: 1_048_576 } as const;
  await assert.rejects(createInstanceType(deps.db, administrator, odd), {
    code: 'InvalidArgument',
    detail: '1025 MiB are no whole number of huge pages of 1 GiB.',
    action: 'Ask for 2048 MiB.',
  });
  await reserve(0, 2048, 128);
  await assert.rejects(begin(undefined, { type: 'paged', maxMemoryMib: 128 }), { field: '/maxMemoryMib' });
  const id = await launch(undefined, { type: 'paged' });
  const resize = (body: Parameters<typeof resizeInstance>[3]) => resizeInstance(deps, operator, id, body);
  await assert.rejects(resize({ memoryMib: 128 }), { code: 'Conflict', detail: /huge pages, which are all there/ });
  await assert.rejects(resize({ type: 'tiny', restart: true }), {
    code: 'Conflict',
    detail: /ordinary and huge pages/,
  });
  await cloud.succeeded((await resize({ memoryMib: 128, restart: true })).operationId);
  assert.equal((await hosts())[0]!.allocated_huge_2m_pages, 64);
  await stop(id);
  assert.equal((await hosts())[0]!.allocated_huge_2m_pages, 0);
  await cloud.succeeded((await resize({ type: 'tiny' })).operationId);
  await startInstance(deps, operator, id);
  await isIn(id, 'running');
  const [host] = await hosts();
  assert.deepEqual([host!.allocated_huge_2m_pages, host!.allocated_memory_mib], [0, 256]);
});

test('of forty launches of two projects at once, the memory of one project only is merged on each host', async () => {
  await Promise.all(Array.from({ length: 40 }, (_, index) => begin(index % 2 === 0 ? cloud.operator : other)));
  await until('all of them run', async () => (await rows()).every(({ state }) => state === 'running'));
  const merging = await mergingProjects();
  assert.deepEqual(
    merging.map(({ size }) => size),
    [1, 1],
  );
  for (const { id, host_id, project_id } of await rows()) {
    const index = (await hosts()).findIndex((host) => host.id === host_id);
    assert.equal((await row(id)).merges, merging[index]!.has(project_id), id);
  }
  const report = await hostMemoryReport(cloud.deps, cloud.administrator, await hostId());
  assert.equal(report.mergingProject?.id, [...merging[0]!][0]);
  assert.ok(report.mergeSavedKib! > 0);
});

test('a project’s memory is merged until its last guest is off, hibernated ones included, then the next one’s', async () => {
  const { deps, operator } = cloud;
  await onlyFirstHost();
  const first = await launch();
  const second = await launch();
  const stranger = await launch(other);
  assert.deepEqual(await Promise.all([first, second, stranger].map(async (id) => (await row(id)).merges)), [
    true,
    true,
    false,
  ]);
  await stop(first);
  await hibernateInstance(deps, operator, second);
  await isIn(second, 'hibernated');
  await stop(stranger, other);
  await startInstance(deps, other, stranger);
  await isIn(stranger, 'running');
  assert.equal((await row(stranger)).merges, false, 'what is saved still is as it was started');
  await startInstance(deps, operator, second);
  await isIn(second, 'running');
  await stop(second);
  await stop(stranger, other);
  await startInstance(deps, other, stranger);
  await isIn(stranger, 'running');
  await startInstance(deps, operator, first);
  await isIn(first, 'running');
  assert.deepEqual([(await row(stranger)).merges, (await row(first)).merges], [true, false]);
  assert.deepEqual([...(await mergingProjects())[0]!], [other.projectId]);
});

test('who opts out is not merged from the next start on, and an administrator may allow all, or none', async () => {
  const { deps, operator, administrator } = cloud;
  await onlyFirstHost();
  const shy = await launch(undefined, { noMerge: true });
  const bold = await launch(other);
  assert.deepEqual([(await row(shy)).merges, (await row(bold)).merges], [false, true]);
  await cloud.succeeded((await updateInstance(deps, operator, shy, { noMerge: false })).operationId);
  await updateHost(deps, administrator, await hostId(), { ksmScope: 'host' });
  await stop(shy);
  await startInstance(deps, operator, shy);
  await isIn(shy, 'running');
  assert.equal((await mergingProjects())[0]!.size, 2);
  await updateHost(deps, administrator, await hostId(), { ksmScope: 'project' });
  const late = await launch();
  assert.equal((await row(late)).merges, false, 'while two projects are merged there is no third that joins');
  await updateHost(deps, administrator, await hostId(), { ksmScope: 'never' });
  assert.equal((await row(await launch(other))).merges, false);
});

test('memory is promised as often as an administrator says, and no oftener when he takes it back', async () => {
  const { deps, administrator } = cloud;
  const id = await hostId();
  const host = await updateHost(deps, administrator, id, { memoryOvercommit: 1.5, vcpuOvercommit: 2 });
  assert.deepEqual([host.schedulableMemoryMib, host.schedulableVcpus], [Math.floor((8192 - 512) * 1.5), 128]);
  await until('it is so after the next facts too', async () => {
    const [row] = await hosts();
    return row!.last_seen_at!.toISOString() > host.lastSeenAt! && row!.schedulable_memory_mib === 11_520;
  });
  const back = await updateHost(deps, administrator, id, { memoryOvercommit: null, vcpuOvercommit: null });
  assert.deepEqual([back.schedulableMemoryMib, back.schedulableVcpus], [7680, 256]);
  await assert.rejects(updateHost(deps, administrator, id, {}), { code: 'InvalidArgument' });
});

test('nothing is started on a host whose available memory is below its floor', async () => {
  const { deps, operator, administrator } = cloud;
  const id = await launch();
  await stop(id);
  for (const index of [0, 1]) cloud.host(index).leaveMemory(100);
  await until('the hosts tell', async () => (await hosts()).every((host) => host.available_memory_mib === 100));
  const refusal = {
    code: 'NoCapacity',
    detail: /has 100 MiB of memory available, and nothing is started there below 256 MiB\.$/,
    action: /virga hosts set host-\d --memory-floor MIB\.$/,
  };
  await assert.rejects(begin(), refusal);
  await assert.rejects(startInstance(deps, operator, id), refusal);
  for (const host of await hosts()) await updateHost(deps, administrator, host.id, { memoryFloorMib: 100 });
  await startInstance(deps, operator, id);
  await isIn(id, 'running');
});

test('guests of a host that is short of memory lend what they do not use, and get it back', async () => {
  const { deps, administrator } = cloud;
  await onlyFirstHost();
  const id = await launch(undefined, { type: 'medium' });
  const keeper = await launch(undefined, { type: 'medium', hardware: 'emulated' });
  await updateHost(deps, administrator, await hostId(), { memoryFloorMib: 512 });
  cloud.host().leaveMemory(200);
  await until('it lends', async () => (await row(id)).observed_memory_mib! < 2048);
  const lending = await cloud.instance(id);
  assert.equal(lending.memoryMib, 2048, 'what it is to have is as it was');
  assert.equal(lending.observedMemoryMib, 2048 - (512 + 64 - 200));
  assert.equal((await cloud.instance(keeper)).observedMemoryMib, 2048, 'without a balloon there is nothing to lend');
  const report = await until('the host is relieved', async () => {
    const now = await hostMemoryReport(deps, administrator, await hostId());
    return now.relievingSince !== null && now;
  });
  assert.equal(report.availableKib, (512 + 64) * 1024);
  cloud.host().leaveMemory(4096);
  await until('it has all of it again', async () => (await row(id)).observed_memory_mib === 2048);
  await until('that is told', async () => (await hosts())[0]!.relieving_since === null);
  const told = (await cloud.eventTypes(await hostId())).filter((type) => type.startsWith('host.memory'));
  assert.deepEqual(told, ['host.memory-short', 'host.memory-relieved']);
  assert.equal((await row(id)).generation, (await row(id)).converged_generation);
});

/** Everything is placed on the first host: the other never has as much available as it should. */
async function onlyFirstHost(): Promise<void> {
  await updateHost(cloud.deps, cloud.administrator, await hostId(1), { memoryFloorMib: 16_000_000 });
}
