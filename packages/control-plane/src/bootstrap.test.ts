import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createTemporaryDatabase } from '@virga/testing/temporary-database';
import { ensureAdministrator } from './bootstrap.ts';
import { findSignedInUser } from './modules/projects/signed-in-user.ts';
import { openStore } from './store/database.ts';

const credentials = {
  user: 'admin',
  password: 'a long enough password',
  accessKeyId: 'VKABCDEFGHIJKLMNOP22',
  secret: randomBytes(30).toString('base64url'),
  project: 'default',
};

test('four first starts at once make one cloud, and the last secret that was given works', async () => {
  const database = await createTemporaryDatabase();
  const store = openStore(database.config);
  try {
    const sealKey = randomBytes(32);
    await Promise.all([1, 2, 3, 4].map(() => ensureAdministrator(database.config, sealKey, credentials)));
    await ensureAdministrator(database.config, sealKey, { ...credentials, secret: 'another secret' });
    for (const [table, rows] of [
      ['projects', 1],
      ['users', 1],
      ['api_keys', 1],
      ['project_members', 1],
      ['instance_types', 5],
    ] as const) {
      assert.equal((await store.db.selectFrom(table).selectAll().execute()).length, rows, table);
    }
    const verify = (secret: string) => findSignedInUser(store.db, { ...credentials, secret }, undefined, new Date());
    assert.equal(await verify(credentials.secret), undefined);
    assert.equal((await verify('another secret'))?.cloudRole, 'admin');
    const ids = await store.db.selectFrom('settings').selectAll().where('key', '=', 'cloudId').execute();
    assert.match(ids[0]?.value ?? '', /^[0-9a-f]{16}$/);
  } finally {
    await store.close();
    await database.drop();
  }
});
