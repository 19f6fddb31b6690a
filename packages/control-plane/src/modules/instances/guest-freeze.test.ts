import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { InstanceId } from '@virga/contract/ids';
import { SettableClock } from '@virga/testing/settable-clock';
import { SimulatedCloud } from '@virga/testing/simulated-cloud';
import { until } from '@virga/testing/until';
import { notify } from '../../store/notifications.ts';
import { endFreezeGuard, freezeGuest, frozenUntil, guardFreeze, thawGuest } from './guest-freeze.ts';
import { executeInGuest, getGuest } from './instance-guest.ts';
import { destroyInstance } from './instance-operations.ts';

const clock = new SettableClock(new Date('2030-01-01T07:00:00.000Z'));
let cloud: SimulatedCloud;
before(async () => {
  cloud = await SimulatedCloud.start({ clock });
  await cloud.prepare();
});
after(() => cloud.close());

async function pass(ms: number): Promise<void> {
  clock.forward(ms);
  await notify(cloud.deps.db, 'due');
}
const freeze = (id: InstanceId, timeoutSeconds?: number) =>
  freezeGuest(cloud.deps, cloud.operator, id, timeoutSeconds === undefined ? {} : { timeoutSeconds });
const guest = (id: InstanceId) => getGuest(cloud.deps, cloud.operator, id);
const isThawed = async (id: InstanceId) => !(await guest(id)).frozen && (await guest(id)).frozenUntil === null;
const count = async (id: InstanceId, type: string) => (await cloud.eventTypes(id)).filter((one) => one === type).length;

test('a frozen guest goes on when it is told to, or when the time is over, and not before', async () => {
  const id = (await cloud.launch('web')).id;
  const { fileSystems, frozenUntil: until1 } = await freeze(id);
  assert.deepEqual([fileSystems, until1], [1, new Date(clock.now().getTime() + 60_000).toISOString()]);
  await assert.rejects(executeInGuest(cloud.deps, cloud.operator, id, { command: ['true'] }), { name: 'GuestRefused' });
  assert.deepEqual(await thawGuest(cloud.deps, cloud.operator, id), { fileSystems: 1 });
  assert.ok(await isThawed(id));

  await freeze(id, 30);
  await pass(29_000);
  const longer = await freeze(id, 30);
  assert.equal(longer.fileSystems, 0, 'it was frozen already; only the time is later');
  await pass(29_000);
  assert.ok((await guest(id)).frozen);
  await pass(1_000);
  await until('it goes on by itself', () => isThawed(id));
  assert.equal(await count(id, 'instance.guest-thawed'), 2);
});

test('a guest that does not answer when the time is over is asked again until it does', async () => {
  const id = (await cloud.launch('slow')).id;
  await freeze(id, 10);
  cloud.host().muteGuestAgent(true, id);
  await pass(10_000);
  await until('it is told', async () => (await count(id, 'instance.guest-thaw-failed')) === 1);
  await pass(60_000);
  cloud.host().muteGuestAgent(false, id);
  await until('it goes on', async () => {
    await pass(60_000);
    return isThawed(id);
  });
  assert.equal(await count(id, 'instance.guest-thaw-failed'), 1, 'it is told once');
});

test('a server that was killed meanwhile lets a frozen guest go on when it starts again', async () => {
  const { id } = await cloud.launch('forgotten');
  await freeze(id, 10);
  await cloud.kill();
  clock.forward(10_000);
  await cloud.startAgain();
  await until('it goes on', () => isThawed(id));
});

test('a server that was killed before the guest was asked leaves nothing frozen', async () => {
  const { id } = await cloud.launch('half');
  cloud.host().failNext('guestFreeze', new Error('as if the server had ended here'));
  await assert.rejects(freeze(id, 10), { message: 'as if the server had ended here' });
  assert.notEqual(await frozenUntil(cloud.deps.db, id), undefined, 'it may be frozen');
  await until('it is let go on', async () => {
    await pass(10_000);
    return (await frozenUntil(cloud.deps.db, id)) === undefined;
  });
});

test('a guest that is off is no longer waited for', async () => {
  const id = (await cloud.launch('gone')).id;
  await freeze(id, 10);
  await cloud.succeeded((await destroyInstance(cloud.deps, cloud.operator, id)).operationId);
  await pass(10_000);
  await until('it is forgotten', async () => (await frozenUntil(cloud.deps.db, id)) === undefined);
});

test('nothing is written down for a guest without an agent', async () => {
  const id = (await cloud.launch('mute')).id;
  cloud.host().muteGuestAgent(true, id);
  await assert.rejects(freeze(id), { name: 'GuestUnavailable' });
  assert.equal(await frozenUntil(cloud.deps.db, id), undefined);
});

test('what guards the moment of a snapshot ends with it, also when the guest was asked to go on meanwhile and has no agent', async () => {
  const id = (await cloud.launch('guarded')).id;
  cloud.host().muteGuestAgent(true, id);
  const guard = await guardFreeze(cloud.deps, id, 10_000);
  assert.equal(await guardFreeze(cloud.deps, id, 10_000), null, 'whoever was there before says until when');
  await pass(10_000);
  await until('it was asked', async () => (await count(id, 'instance.guest-thaw-failed')) === 1);
  await endFreezeGuard(cloud.deps, id, guard);
  assert.equal(await frozenUntil(cloud.deps.db, id), undefined);
});
