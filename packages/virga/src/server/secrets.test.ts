import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ApiKey } from '@virga/contract/rest/identity';
import { type Folders, foldersOf } from './folders.ts';
import {
  administratorPath,
  ensureAdministratorCredentials,
  ensureSealKey,
  readAdministratorCredentials,
  sealKeyPath,
} from './secrets.ts';

function place(t: TestContext): Folders {
  const folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return foldersOf(folder);
}

const mode = (path: string) => statSync(path).mode & 0o777;

test('the seal key is made once, 32 bytes that only the owner can read', async (t) => {
  const folders = place(t);
  const key = await ensureSealKey(folders);
  assert.equal(key.length, 32);
  assert.equal(mode(sealKeyPath(folders)), 0o600);
  assert.deepEqual(await ensureSealKey(folders), key);
});

test('a seal key that is gone is not replaced while the database needs it', async (t) => {
  const folders = place(t);
  mkdirSync(folders.database);
  await assert.rejects(ensureSealKey(folders), { name: 'OperationFailed', detail: /seal\.key is gone/ });
});

test('a damaged seal key is refused, and left as it is', async (t) => {
  const folders = place(t);
  writeFileSync(sealKeyPath(folders), 'abc');
  await assert.rejects(ensureSealKey(folders), { name: 'OperationFailed', detail: /damaged/ });
  assert.equal(readFileSync(sealKeyPath(folders), 'utf8'), 'abc');
});

test('the credentials of the administrator are made once, are private, and have the shape of an API key', async (t) => {
  const folders = place(t);
  const credentials = await ensureAdministratorCredentials(folders);
  assert.match(
    credentials.accessKeyId,
    new RegExp((ApiKey.properties.accessKeyId as unknown as { pattern: string }).pattern),
  );
  assert.ok(credentials.password.length >= 20 && credentials.secret.length >= 32);
  assert.equal(mode(administratorPath(folders)), 0o600);
  assert.deepEqual(await ensureAdministratorCredentials(folders), credentials);
  assert.deepEqual(readAdministratorCredentials(folders), credentials);
});

test('a damaged credentials file is refused', async (t) => {
  const folders = place(t);
  writeFileSync(administratorPath(folders), '{"user":"admin"}');
  await assert.rejects(ensureAdministratorCredentials(folders), { name: 'OperationFailed', detail: /damaged/ });
});
