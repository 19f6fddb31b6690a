// The connection to PostgreSQL: one pool, typed tables, transactions that are retried when they only collided.
// It knows no table. When the database is away every caller gets StoreUnavailable.
import { setTimeout as sleep } from 'node:timers/promises';
import { VirgaError } from '@virga/contract/errors';
import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely';
import pg from 'pg';
import { holdNotifications } from './notifications.ts';
import type { Database } from './schema.ts';

export type Db = Kysely<Database>;
export type Tx = Transaction<Database>;

const int8 = 20;
/** Counts and sizes come as numbers: every column of ours stays below 2^53. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format: 'text' | 'binary') =>
    oid === int8 ? (text: string) => Number(text) : pg.types.getTypeParser(oid, format as 'text')) as never,
};

export type Store = { db: Db; pool: pg.Pool; close(): Promise<void> };

/** Opens a pool. Nothing is connected until the first query. */
export function openStore(config: pg.PoolConfig): Store {
  const pool = new pg.Pool({ max: 16, ...config, types });
  // A connection that dies while idle is replaced by the pool; the next query finds out whether the server is away.
  pool.on('error', () => {});
  // One that dies while it is in use fails the query, or the next one; without a listener it would end the process.
  pool.on('connect', (client) => client.on('error', () => {}));
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
  const close = async () => {
    await db.destroy();
    // kysely ends only a pool that it has used itself; one that it has not would keep the process alive.
    if (!pool.ending) await pool.end();
  };
  return { db, pool, close };
}

/** @throws StoreUnavailable the database does not answer */
export async function checkStore(db: Db): Promise<void> {
  try {
    await sql`select 1`.execute(db);
  } catch (error) {
    throw storeError(error);
  }
}

const collisions = new Set(['40001', '40P01']);
const attempts = 5;

/**
 * Runs `work` in one transaction, again when it lost a race against another one (serialization failure, deadlock).
 * `work` must have no effect outside the database.
 * @throws StoreUnavailable the database cannot be reached
 */
export async function inTransaction<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await db.transaction().execute(async (tx) => {
        const sendNotifications = holdNotifications(tx);
        const result = await work(tx);
        await sendNotifications();
        return result;
      });
    } catch (error) {
      if (attempt >= attempts || !collisions.has(sqlState(error) ?? '')) throw storeError(error);
      await sleep(attempt * 5);
    }
  }
}

/** SQLSTATE of an error that PostgreSQL sent. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Name of the constraint that a statement broke. */
export function brokenConstraint(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.constraint : undefined;
}

const awayStates = /^(08|57P0|53)/;
const awayCodes = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT']);

/** Turns "the server is away" into StoreUnavailable; every other error stays what it is. */
export function storeError(error: unknown): unknown {
  if (error instanceof VirgaError) return error;
  const code = (error as { code?: unknown } | undefined)?.code;
  const ended = error instanceof Error && /Connection terminated|client was closed|not queryable/i.test(error.message);
  if (!ended && !(typeof code === 'string' && (awayCodes.has(code) || awayStates.test(code)))) return error;
  return new VirgaError('StoreUnavailable', {
    detail: 'The database does not answer.',
    action: 'Try again; if it stays so, read the log of the server.',
    cause: error,
  });
}
