// Waiting until one transaction holds up another, so that tests of locks need not guess when it does.
import type { Tx } from '@virga/control-plane/store/database';
import { sql } from 'kysely';
import { until } from './until.ts';

/** Resolves when another session waits for a lock that this transaction holds. */
export async function isWaitedFor(tx: Tx): Promise<void> {
  await until('somebody waits for the transaction', async () => {
    const { rows } = await sql`
      select from pg_stat_activity where pg_backend_pid() = any (pg_blocking_pids(pid))`.execute(tx);
    return rows.length > 0;
  });
}
