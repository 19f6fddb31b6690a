import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import type { ExpiryAction } from '@virga/contract/rest/instance-attributes';
import { SettableClock } from '@virga/testing/settable-clock';
import { launchOf, SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { notify } from '../../store/notifications.ts';
import { deleteInstance, launchInstance, stopInstance } from './instance-operations.ts';
import { updateInstance } from './update-instance.ts';

const minutes = (count: number) => count * 60_000;
const clock = new SettableClock();
let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ clock });
  await cloud.prepare();
});
after(() => cloud.close());

async function leased(name: string, forMs: number, expiryAction?: ExpiryAction): Promise<InstanceId> {
  const expiresAt = new Date(clock.now().getTime() + forMs).toISOString();
  const body = { ...launchOf(name), expiresAt, ...(expiryAction && { expiryAction }) };
  const { instance, operationId } = await launchInstance(cloud.deps, cloud.operator, body);
  await cloud.succeeded(operationId);
  return instance.id;
}
/** Lets time pass, and the server look. */
async function pass(ms: number): Promise<void> {
  clock.forward(ms);
  await notify(cloud.deps.db, 'due');
}
const expiryEvents = async (id: InstanceId) =>
  (await cloud.eventTypes(id)).filter((type) => /expir|stopped|deleted|-requested/.test(type)).slice(1);
const told = (id: InstanceId, type: string) =>
  until(`${type} is told`, async () => (await cloud.eventTypes(id)).includes(type));
/** Has seen everything that is due: what it does then, it does in order. */
async function lookedAgain(): Promise<void> {
  const probe = await leased('probe', minutes(1));
  await told(probe, 'instance.expiring');
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, probe)).operationId);
}
const removed = async (id: InstanceId) => {
  await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  await cloud.assertNothingLeft();
};

test('a lease is warned of once, ends with a stop, and is over then', async () => {
  const id = await leased('stops', minutes(60));
  await pass(minutes(49));
  await lookedAgain();
  assert.deepEqual(await expiryEvents(id), []);
  await pass(minutes(1));
  await told(id, 'instance.expiring');
  await pass(minutes(5));
  await lookedAgain();
  assert.deepEqual(await expiryEvents(id), ['instance.expiring']);
  await pass(minutes(5));
  await until('it is off', async () => (await cloud.instance(id)).state === 'stopped');
  const events = ['instance.expiring', 'instance.expired', 'instance.stop-requested', 'instance.stopped'];
  assert.deepEqual(await expiryEvents(id), events);
  const { expiresAt, expiryAction } = await cloud.instance(id);
  assert.deepEqual([expiresAt, expiryAction], [null, null]);
  await pass(minutes(600));
  await lookedAgain();
  assert.deepEqual(await expiryEvents(id), events);
  await removed(id);
});

test('a lease that ends with a deletion leaves nothing', async () => {
  const id = await leased('deletes', minutes(60), 'delete');
  await pass(minutes(55));
  await told(id, 'instance.expiring');
  await pass(minutes(5));
  await told(id, 'instance.deleted');
  await cloud.assertNothingLeft();
});

test('a lease that is shorter than the warning is warned of at once', async () => {
  const id = await leased('short', minutes(3));
  await told(id, 'instance.expiring');
  await pass(minutes(3));
  await told(id, 'instance.stopped');
  await removed(id);
});

test('more time is more time, and no expiry is none', async () => {
  const id = await leased('prolonged', minutes(15));
  await pass(minutes(10));
  await told(id, 'instance.expiring');
  const expiresAt = new Date(clock.now().getTime() + minutes(30)).toISOString();
  await updateInstance(cloud.deps, cloud.operator, id, { expiresAt });
  await pass(minutes(10));
  await lookedAgain();
  assert.equal((await cloud.instance(id)).state, 'running');
  await updateInstance(cloud.deps, cloud.operator, id, { expiresAt: null });
  await pass(minutes(60));
  await lookedAgain();
  assert.equal((await cloud.instance(id)).state, 'running');
  assert.deepEqual(
    (await expiryEvents(id)).filter((type) => /expir/.test(type)),
    ['instance.expiring'],
  );
  await removed(id);
});

test('one that is off already is left off', async () => {
  const id = await leased('off', minutes(15));
  await cloud.succeeded((await stopInstance(cloud.deps, cloud.operator, id)).operationId);
  await pass(minutes(15));
  await told(id, 'instance.expired');
  const events = await expiryEvents(id);
  assert.equal(events.filter((type) => type === 'instance.stop-requested').length, 1, 'only that of the user');
  await removed(id);
});

test('what fell due while no server ran happens at once at the next start', async () => {
  const id = await leased('outage', minutes(60), 'delete');
  await cloud.stop();
  clock.forward(minutes(600));
  await cloud.startAgain();
  await told(id, 'instance.deleted');
  assert.ok((await cloud.eventTypes(id)).includes('instance.expired'));
  await cloud.assertNothingLeft();
});

for (const [action, points] of [
  ['stop', ['shutdown', 'after applyInstance']],
  ['delete', ['destroy', 'undefine', 'delete-leases', 'delete-files', 'after deleteInstance']],
] as const) {
  for (const point of points) {
    test(`killed at ${point} of an expiry that is to ${action}, it ends all the same, once`, async () => {
      const id = await leased('killed', minutes(60), action);
      const reached = cloud.freezeAt(point);
      await pass(minutes(60));
      await reached;
      await cloud.kill();
      await cloud.startAgain();
      await told(id, action === 'stop' ? 'instance.stopped' : 'instance.deleted');
      const expired = (await cloud.eventTypes(id)).filter((type) => type === 'instance.expired');
      assert.equal(expired.length, 1);
      if (action === 'stop') await removed(id);
      else await cloud.assertNothingLeft();
    });
  }
}

test('killed again and again while many leases end, each ends once', async () => {
  const ids: InstanceId[] = [];
  for (let index = 0; index < 12; index++)
    ids.push(await leased(`many-${index}`, minutes(60), index % 2 ? 'delete' : 'stop'));
  await pass(minutes(60));
  for (let kill = 0; kill < 4; kill++) {
    await cloud.kill();
    await cloud.startAgain();
    await until('something has ended', async () => {
      const left = await cloud.deps.db
        .selectFrom('instances')
        .select('id')
        .where('expiry_due_at', 'is not', null)
        .execute();
      return left.length < ids.length - kill || left.length === 0;
    });
  }
  for (const [index, id] of ids.entries()) {
    await told(id, index % 2 ? 'instance.deleted' : 'instance.stopped');
    const types = await cloud.eventTypes(id);
    for (const type of ['instance.expired', index % 2 ? 'instance.delete-requested' : 'instance.stop-requested']) {
      assert.equal(types.filter((one) => one === type).length, 1, type);
    }
  }
  for (const [index, id] of ids.entries()) {
    if (index % 2 === 0) await cloud.succeeded((await deleteInstance(cloud.deps, cloud.operator, id)).operationId);
  }
  await cloud.assertNothingLeft();
});
