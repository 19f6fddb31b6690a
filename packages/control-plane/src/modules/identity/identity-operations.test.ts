import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { UserId } from '@virga/contract/ids';
import type { CloudRole } from '@virga/contract/route';
import { openTemporaryStore, type TemporaryStore } from '@virga/testing/temporary-store';
import { authorize, type UserAccess } from '../../access/authorizer.ts';
import { systemClock } from '../../deps.ts';
import type { Idempotency } from '../../store/once-only.ts';
import { deleteProject } from '../projects/project-operations.ts';
import { findSignedInUser } from '../projects/signed-in-user.ts';
import { listApiKeys, revokeApiKey } from './api-keys.ts';
import { createApiKey, createUser, deleteUser, login } from './identity-operations.ts';
import { createSeal } from './seal.ts';

let store: TemporaryStore;
const seal = createSeal(randomBytes(32));
const deps = () => ({ db: store.db, seal, clock: systemClock });
before(async () => {
  store = await openTemporaryStore();
});
after(() => store.close());

const admin = () => authorize(callerOf(store.user.actor.userId!, 'admin'), { scope: 'cloud', role: 'admin' });
const callerOf = (userId: UserId, cloudRole: CloudRole) =>
  ({ actor: { userId, name: 'x' }, cloudRole, project: null, requestId: 'req-1' }) as const;
const signedIn = (userId: UserId, cloudRole: CloudRole = 'none'): UserAccess =>
  authorize(callerOf(userId, cloudRole), { scope: 'user' });
const signIn = (accessKeyId: string, secret: string, now = new Date()) =>
  findSignedInUser(store.db, { accessKeyId, secret }, undefined, now);
const password = 'correct horse battery';

test('a login gives a key that works, expires, and is written down under the name of the user', async () => {
  const user = await createUser(store.db, admin(), { name: 'grace', password });
  const { apiKey, secret } = await login(deps(), { user: 'grace', password }, 'req-7');
  const verify = (text: string, now = new Date()) => signIn(apiKey.accessKeyId, text, now);
  assert.equal((await verify(secret))?.userId, user.id);
  assert.equal(await verify(`${secret}x`), undefined);
  assert.equal(await verify(secret, new Date(apiKey.expiresAt!)), undefined);
  const event = await store.db
    .selectFrom('events')
    .selectAll()
    .where('resource_id', '=', apiKey.accessKeyId)
    .executeTakeFirstOrThrow();
  assert.deepEqual([event.actor, event.category, event.request_id], ['grace', 'audit', 'req-7']);
});

test('a wrong password, an unknown user and a user without a password get the same answer', async () => {
  await createUser(store.db, admin(), { name: 'nopass' });
  const answers = await Promise.all(
    ['grace', 'nobody', 'nopass'].map((user) =>
      login(deps(), { user, password: 'wrong' }, 'req-1').then(
        () => assert.fail('it let in'),
        (error: { name: string; detail: string }) => [error.name, error.detail],
      ),
    ),
  );
  assert.deepEqual(answers, Array(3).fill(['Unauthenticated', 'The user name or the password is wrong.']));
});

test('no secret and no password is in the database', async () => {
  const { secret } = await login(deps(), { user: 'grace', password }, 'req-1');
  const idempotency: Idempotency = { userId: store.user.actor.userId!, key: 'k', requestSha256: Buffer.alloc(32) };
  const created = await createApiKey(deps(), store.user, {}, idempotency);
  for (const table of ['api_keys', 'users', 'events', 'idempotency_keys'] as const) {
    const text = JSON.stringify(await store.db.selectFrom(table).selectAll().execute());
    for (const hidden of [secret, created.secret, password]) assert.ok(!text.includes(hidden), table);
  }
  assert.deepEqual(
    await createApiKey(deps(), store.user, {}, idempotency),
    created,
    'a repeated request gets it again',
  );
});

test('a key is created for another user by an administrator only, and never for the past', async () => {
  const other = await createUser(store.db, admin(), { name: 'other' });
  await assert.rejects(createApiKey(deps(), store.user, { userId: other.id }), { name: 'Forbidden', field: '/userId' });
  const administrator = signedIn(store.user.actor.userId!, 'admin');
  assert.equal((await createApiKey(deps(), administrator, { userId: other.id })).apiKey.userId, other.id);
  const past = createApiKey(deps(), store.user, { expiresAt: '2001-01-01T00:00:00Z' });
  await assert.rejects(past, { name: 'InvalidArgument', field: '/expiresAt' });
});

test('a key for a project wants membership', async () => {
  const request = { projectId: store.projectId };
  await assert.rejects(createApiKey(deps(), store.user, request), { name: 'NotFound', field: '/projectId' });
});

test('nobody revokes the key of somebody else, and a revoked one does not work', async () => {
  const { apiKey, secret } = await createApiKey(deps(), store.user, {});
  const stranger = await createUser(store.db, admin(), { name: 'stranger' });
  await assert.rejects(revokeApiKey(store.db, signedIn(stranger.id), apiKey.accessKeyId), { name: 'NotFound' });
  await revokeApiKey(store.db, store.user, apiKey.accessKeyId);
  assert.equal(await signIn(apiKey.accessKeyId, secret), undefined);
  const { items } = await listApiKeys(store.db, store.user);
  assert.ok(!items.some((key) => key.accessKeyId === apiKey.accessKeyId));
});

test('the last administrator cannot be deleted, also not by two requests at once', async () => {
  const one = await createUser(store.db, admin(), { name: 'admin-1', cloudRole: 'admin' });
  const two = await createUser(store.db, admin(), { name: 'admin-2', cloudRole: 'admin' });
  const outcomes = await Promise.allSettled([one, two].map((user) => deleteUser(store.db, admin(), user.id)));
  assert.deepEqual(outcomes.map((outcome) => outcome.status).toSorted(), ['fulfilled', 'rejected']);
});

test('a name is taken once', async () => {
  await assert.rejects(createUser(store.db, admin(), { name: 'grace' }), { name: 'NameTaken', field: '/name' });
});

test('a project that has something is not deleted', async () => {
  const key = { id: 'key-00000000000000001', project_id: store.projectId, name: 'k' } as const;
  await store.db
    .insertInto('key_pairs')
    .values({ ...key, public_key: 'x', fingerprint: 'x' })
    .execute();
  await assert.rejects(deleteProject(store.db, admin(), store.projectId), { name: 'InUse' });
});
