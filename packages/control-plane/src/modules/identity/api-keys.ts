// API keys: an access key id and a secret of 240 random bits. The database has the secret's hash, to check it, and its
// sealed form, for request signatures that need the secret itself.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { VirgaError } from '@virga/contract/errors';
import type { ProjectId, UserId } from '@virga/contract/ids';
import type { ApiKey, ApiKeyWithSecret } from '@virga/contract/rest/identity';
import type { Selectable } from 'kysely';
import type { SystemAccess, UserAccess } from '../../access/authorizer.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import type { Seal } from './seal.ts';

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

export type NewApiKey = {
  userId: UserId;
  projectId: ProjectId | null;
  description: string;
  expiresAt: Date | null;
};

/** Makes sure that this key works for this user, with this secret. */
export async function adoptApiKey(
  tx: Tx,
  access: SystemAccess,
  seal: Seal,
  { userId, projectId, accessKeyId, secret }: Credentials & { userId: UserId; projectId: ProjectId },
): Promise<void> {
  const found = await tx
    .updateTable('api_keys')
    .set({ secret_sha256: sha256(secret), secret_sealed: seal.seal(secret, accessKeyId) })
    .where('access_key_id', '=', accessKeyId)
    .where('user_id', '=', userId)
    .returning('access_key_id')
    .executeTakeFirst();
  if (found) return;
  const key = { userId, projectId, description: 'first administrator', expiresAt: null };
  await insertApiKey(tx, access, seal, key, { accessKeyId, secret });
}

export type Credentials = { accessKeyId: string; secret: string };

export function newCredentials(): Credentials {
  return {
    accessKeyId: `VK${Array.from(randomBytes(18), (byte) => base32[byte & 31]).join('')}`,
    secret: randomBytes(30).toString('base64url'),
  };
}

export async function insertApiKey(
  tx: Tx,
  access: UserAccess | SystemAccess,
  seal: Seal,
  key: NewApiKey,
  { accessKeyId, secret }: Credentials = newCredentials(),
): Promise<ApiKeyWithSecret> {
  const row = await tx
    .insertInto('api_keys')
    .values({
      access_key_id: accessKeyId,
      user_id: key.userId,
      project_id: key.projectId,
      description: key.description,
      secret_sha256: sha256(secret),
      secret_sealed: seal.seal(secret, accessKeyId),
      expires_at: key.expiresAt,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendEvent(tx, access, {
    type: 'api-key.created',
    projectId: key.projectId,
    resourceId: accessKeyId,
    message: `API key ${accessKeyId} was created.`,
    data: { userId: key.userId },
  });
  return { apiKey: toApiKey(row), secret };
}

/** True when the secret is that of the key and the key has not expired. Takes the same time for a key that is not there. */
export function isSecretOf(
  key: { secret_sha256: Buffer; expires_at: Date | null } | undefined,
  secret: string,
  now: Date,
): boolean {
  const matches = timingSafeEqual(sha256(secret), key?.secret_sha256 ?? Buffer.alloc(32));
  return key !== undefined && matches && (key.expires_at === null || key.expires_at > now);
}

/** The secret of a key that the caller has just created. @throws NotFound it has been revoked meanwhile */
export async function secretOf(db: Db, _access: UserAccess, seal: Seal, accessKeyId: string): Promise<string> {
  const row = await db
    .selectFrom('api_keys')
    .select('secret_sealed')
    .where('access_key_id', '=', accessKeyId)
    .executeTakeFirst();
  if (!row) throw apiKeyNotFound(accessKeyId);
  return seal.open(row.secret_sealed, accessKeyId);
}

export async function listApiKeys(db: Db, access: UserAccess): Promise<{ items: ApiKey[] }> {
  const rows = await db
    .selectFrom('api_keys')
    .selectAll()
    .where('user_id', '=', access.actor.userId!)
    .orderBy('created_at')
    .execute();
  return { items: rows.map(toApiKey) };
}

/** @throws NotFound the caller has no such key; a cloud administrator may revoke anybody's */
export async function revokeApiKey(db: Db, access: UserAccess, accessKeyId: string): Promise<void> {
  await inTransaction(db, async (tx) => {
    let query = tx.deleteFrom('api_keys').where('access_key_id', '=', accessKeyId);
    if (access.cloudRole !== 'admin') query = query.where('user_id', '=', access.actor.userId!);
    const { numDeletedRows } = await query.executeTakeFirst();
    if (numDeletedRows === 0n) throw apiKeyNotFound(accessKeyId);
    await appendEvent(tx, access, {
      type: 'api-key.revoked',
      projectId: null,
      resourceId: accessKeyId,
      message: `API key ${accessKeyId} was revoked.`,
    });
  });
}

function apiKeyNotFound(accessKeyId: string): VirgaError {
  return new VirgaError('NotFound', {
    detail: `You have no API key ${accessKeyId}.`,
    action: 'List your keys with virga api-keys list.',
  });
}

function toApiKey(row: Selectable<Database['api_keys']>): ApiKey {
  return {
    accessKeyId: row.access_key_id,
    userId: row.user_id,
    projectId: row.project_id,
    description: row.description,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at?.toISOString() ?? null,
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
