import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { ErrorCode } from '@virga/contract/errors';
import { newId } from '@virga/contract/ids';
import type { LaunchInstance } from '@virga/contract/rest/instances';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { createNetwork } from '../networks/network-operations.ts';
import {
  deleteInstance,
  getInstance,
  launchInstance,
  listInstances,
  rebootInstance,
  startInstance,
  stopInstance,
} from './instance-operations.ts';

const hostMemoryMib = 4096;
let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: [{ memoryMib: hostMemoryMib, cpuThreads: 8 }] });
  await cloud.prepare();
});
after(() => cloud.close());
beforeEach(() => cloud.assertNothingLeft());

const launch = (change: Partial<LaunchInstance> = {}) =>
  launchInstance(cloud.deps, cloud.operator, { ...launchOf('web'), ...change });
const clear = async () => {
  for (const { id } of (await listInstances(cloud.deps.db, cloud.operator, {})).items)
    await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
};

const refusals: [string, Partial<LaunchInstance>, ErrorCode, string][] = [
  ['an unknown image', { image: 'nothing' }, 'NotFound', '/image'],
  ['an unknown type', { type: 'nothing' }, 'NotFound', '/type'],
  ['an unknown network', { network: 'nothing' }, 'NotFound', '/network'],
  ['an unknown key pair', { keyPairs: ['nothing'] }, 'NotFound', '/keyPairs/0'],
  ['a type that no host can hold', { type: 'xlarge' }, 'InstanceTypeTooLarge', '/type'],
  ['user data that is not base64', { userData: 'I3NoCg=*' }, 'InvalidArgument', '/userData'],
  [
    'user data of more than 16 KiB',
    { userData: Buffer.alloc(16_385).toString('base64') },
    'UserDataTooLarge',
    '/userData',
  ],
];
for (const [what, change, code, field] of refusals) {
  test(`${what} is refused, and nothing comes of it`, async () => {
    const operations = () => cloud.deps.db.selectFrom('operations').select('id').execute();
    const before = await operations();
    await assert.rejects(launch(change), (error: { code: string; field?: string; action: string }) => {
      assert.equal(error.code, code);
      assert.equal(error.field, field);
      assert.notEqual(error.action, '');
      return true;
    });
    assert.deepEqual(await operations(), before);
    await cloud.assertNothingLeft();
  });
}

test('user data of exactly 16 KiB is taken', async () => {
  const { operationId } = await launch({ userData: Buffer.alloc(16_384).toString('base64') });
  await cloud.succeeded(operationId);
  await clear();
});

test('an image that needs more memory or disk than is asked for is refused', async () => {
  const { db } = cloud.deps;
  await db
    .updateTable('images')
    .set({ minimum_memory_mib: 1024, virtual_size_bytes: 3 * 1024 ** 3 })
    .execute();
  await assert.rejects(launch({ type: 'small' }), { code: 'InvalidArgument', field: '/type' });
  await assert.rejects(launch({ type: 'medium', diskGib: 2 }), { code: 'InvalidArgument', field: '/diskGib' });
  await db.updateTable('images').set({ minimum_memory_mib: 0 }).execute();
  const { instance } = await launch();
  assert.equal(instance.diskBytes, 3 * 1024 ** 3, 'an image that is larger than the type wins');
  await db
    .updateTable('images')
    .set({ virtual_size_bytes: 1024 ** 2 })
    .execute();
  await clear();
});

test('an image that is being imported or deleted cannot be launched', async () => {
  for (const state of ['pending', 'deleting', 'failed'] as const) {
    await cloud.deps.db.updateTable('images').set({ state }).execute();
    await assert.rejects(launch(), { code: 'Conflict', field: '/image' });
  }
  await cloud.deps.db.updateTable('images').set({ state: 'available' }).execute();
});

test('of many launches with one name one is taken', async () => {
  const results = await Promise.allSettled(Array.from({ length: 8 }, () => launch()));
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const result of results)
    if (result.status === 'rejected') assert.equal(result.reason.code, 'NameTaken', String(result.reason));
  await clear();
});

test('of many requests for the last room as many are taken as fit', async () => {
  const { schedulable_memory_mib } = await cloud.deps.db
    .selectFrom('hosts')
    .select('schedulable_memory_mib')
    .executeTakeFirstOrThrow();
  const room = Math.floor(schedulable_memory_mib / 512);
  const asked = Array.from({ length: room + 3 }, (_, index) => launch({ name: `web-${index}`, type: 'small' }));
  const results = await Promise.allSettled(asked);
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, room);
  for (const result of results) if (result.status === 'rejected') assert.equal(result.reason.code, 'NoCapacity');
  await clear();
});

test('of many requests for the last addresses as many are taken as there are', async () => {
  const small = await createNetwork(cloud.deps, cloud.administrator, { name: 'small', cidr: '10.99.0.0/29' });
  await cloud.succeeded(small.operationId);
  const asked = Array.from({ length: 8 }, (_, index) => launch({ name: `web-${index}`, network: 'small' }));
  const results = await Promise.allSettled(asked);
  const taken = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.instance] : []));
  assert.equal(taken.length, 5);
  assert.equal(new Set(taken.map(({ networkInterfaces }) => networkInterfaces[0]?.address)).size, 5);
  for (const result of results)
    if (result.status === 'rejected') assert.equal(result.reason.code, 'AddressesExhausted');
  await clear();
});

test('one idempotency key launches once, also when it is used many times at once', async () => {
  const userId = cloud.operator.actor.userId!;
  const key = { userId, key: 'once', requestSha256: Buffer.alloc(32, 1) };
  const again = () => launchInstance(cloud.deps, cloud.operator, launchOf('once'), key);
  const answers = await Promise.all([again(), again(), again()]);
  assert.equal(new Set(answers.map(({ instance }) => instance.id)).size, 1);
  assert.equal(new Set(answers.map(({ operationId }) => operationId)).size, 1);
  await clear();
});

test('a change that names an old generation is refused', async () => {
  const { id, generation } = await cloud.launch('web');
  await assert.rejects(stopInstance(cloud.deps, cloud.operator, id, {}, generation + 1), {
    code: 'PreconditionFailed',
  });
  const stop = await stopInstance(cloud.deps, cloud.operator, id, {}, generation);
  await cloud.succeeded(stop.operationId);
  await assert.rejects(startInstance(cloud.deps, cloud.operator, id, generation), { code: 'PreconditionFailed' });
  await assert.rejects(rebootInstance(cloud.deps, cloud.operator, id), { code: 'Conflict' });
  await clear();
});

test('an instance of another project does not exist', async () => {
  const { id } = await cloud.launch('web');
  const other = { ...cloud.operator, projectId: newId('project') };
  await assert.rejects(getInstance(cloud.deps.db, other, id), { code: 'NotFound' });
  await assert.rejects(stopInstance(cloud.deps, other, id), { code: 'NotFound' });
  await assert.rejects(deleteInstance(cloud.deps, other, id), { code: 'NotFound' });
  assert.deepEqual((await listInstances(cloud.deps.db, other, {})).items, []);
  await clear();
});

test('instances are listed by page, name and state', async () => {
  const names = ['a', 'b', 'c'];
  for (const name of names) await cloud.launch(name);
  const page = await listInstances(cloud.deps.db, cloud.operator, { limit: 2 });
  const rest = await listInstances(cloud.deps.db, cloud.operator, { limit: 2, cursor: page.next });
  assert.deepEqual(
    [...page.items, ...rest.items].map(({ name }) => name),
    names,
  );
  assert.equal(rest.next, undefined);
  const listed = async (query: Parameters<typeof listInstances>[2]) =>
    (await listInstances(cloud.deps.db, cloud.operator, query)).items.map(({ name }) => name);
  assert.deepEqual(await listed({ name: 'b' }), ['b']);
  assert.deepEqual(await listed({ state: 'running' }), names);
  assert.deepEqual(await listed({ state: 'stopped' }), []);
  await clear();
});

test('a host without room refuses a start', async () => {
  const { id } = await cloud.launch('web');
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id)).operationId);
  const { db } = cloud.deps;
  await db.updateTable('hosts').set({ allocated_memory_mib: hostMemoryMib }).execute();
  await assert.rejects(startInstance(cloud.deps, cloud.operator, id), { code: 'NoCapacity' });
  assert.equal((await cloud.instance(id)).desiredState, 'stopped');
  await db.updateTable('hosts').set({ allocated_memory_mib: 0 }).execute();
  await clear();
});
