// Of several servers on one database only one acts on the hosts: the one that holds a lock of the database, for as long as
// the session lives that took it. When the session dies, this one stops acting, and stands in line again.
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Deps } from '../deps.ts';

const lockKey = 7_140_002;
const checkMs = 2_000;

export type Acting = { close(): Promise<void> };

export class SingleActive {
  readonly #deps: Pick<Deps, 'db' | 'log'>;
  readonly #act: () => Promise<Acting>;
  readonly #ending = new AbortController();
  #running: Promise<void> = Promise.resolve();

  /** @param act begins to act; what it answers is closed when the lock is lost, or at the end */
  constructor(deps: Pick<Deps, 'db' | 'log'>, act: () => Promise<Acting>) {
    this.#deps = deps;
    this.#act = act;
  }

  start(): void {
    this.#running = this.#standInLine();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #standInLine(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await this.#deps.db.connection().execute(async (session) => {
          const lock = sql<{ locked: boolean }>`select pg_try_advisory_lock(${lockKey}) as locked`;
          if (!(await lock.execute(session)).rows[0]?.locked) return;
          try {
            await this.#actWhile(() => sql`select 1`.execute(session));
          } finally {
            await sql`select pg_advisory_unlock(${lockKey})`.execute(session);
          }
        });
      } catch (error) {
        if (!signal.aborted) this.#deps.log.warn({ err: error }, 'the lock of the active server was lost');
      }
      await sleep(checkMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Acts until the end, or until the session that holds the lock no longer answers. */
  async #actWhile(isHeld: () => Promise<unknown>): Promise<void> {
    const acting = await this.#act();
    try {
      while (!this.#ending.signal.aborted) {
        await isHeld();
        await sleep(checkMs, undefined, { signal: this.#ending.signal }).catch(() => {});
      }
    } finally {
      await acting.close();
    }
  }
}
