// Idempotency keys: a create that is asked for twice with one key happens once and is answered twice. Key and answer are
// written in the transaction of the create itself, so no crash can come between them.
import { VirgaError } from '@virga/contract/errors';
import type { UserId } from '@virga/contract/ids';
import { type Db, inTransaction, type Tx } from './database.ts';

export type Idempotency = { userId: UserId; key: string /** of route, project and body */; requestSha256: Buffer };

/**
 * Runs `work` in a transaction, unless this key has been used: then answers what was answered before. A second request
 * that comes while the first is under way waits for it.
 * @throws IdempotencyMismatch the key was used for another request
 */
export async function onceOnly<T extends object>(
  db: Db,
  idempotency: Idempotency | undefined,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  if (!idempotency) return inTransaction(db, work);
  const { userId, key, requestSha256 } = idempotency;
  return inTransaction(db, async (tx) => {
    const claimed = await tx
      .insertInto('idempotency_keys')
      .values({ user_id: userId, key, request_sha256: requestSha256, response: null })
      .onConflict((conflict) => conflict.doNothing())
      .returning('key')
      .executeTakeFirst();
    const row = tx.selectFrom('idempotency_keys').selectAll().where('user_id', '=', userId).where('key', '=', key);
    if (!claimed) {
      const earlier = await row.executeTakeFirstOrThrow();
      if (earlier.request_sha256.equals(requestSha256)) return earlier.response as unknown as T;
      throw new VirgaError('IdempotencyMismatch', {
        detail: 'This idempotency key was used for another request.',
        action: 'Use a new key for a new request.',
      });
    }
    const response = await work(tx);
    await tx
      .updateTable('idempotency_keys')
      .set({ response: JSON.stringify(response) })
      .where('user_id', '=', userId)
      .where('key', '=', key)
      .execute();
    return response;
  });
}

const keepHours = 24;

/** Forgets keys that are older than a day. */
export async function expireIdempotencyKeys(db: Db, now: Date): Promise<void> {
  const limit = new Date(now.getTime() - keepHours * 3600 * 1000);
  await db.deleteFrom('idempotency_keys').where('created_at', '<', limit).execute();
}
