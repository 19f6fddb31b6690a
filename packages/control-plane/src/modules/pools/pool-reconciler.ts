// Opens pools on one host, forgets those that are to go, and writes down how much room there is in each. Takes no input: it is
// woken by commits, by the host, and by time, and reads the rows again each time. A pool that a host cannot use says why; one
// that becomes low on space is told of once.
import { isDeepStrictEqual } from 'node:util';
import type { ObservedPool } from '@virga/contract/agent/pools';
import { VirgaError } from '@virga/contract/errors';
import type { PoolId } from '@virga/contract/ids';
import type { Selectable } from 'kysely';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { KeyedQueue } from '../../reconcile/keyed-queue.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { endOperation, openOperationsOf } from '../operations/operation-store.ts';
import { createPoolKind, desiredPoolOf, isLow, type PoolRow } from './pool.ts';

type Link = Selectable<Database['pool_hosts']>;

export class PoolReconciler {
  readonly #deps: Deps;
  readonly #access: SystemAccess;
  readonly #host: RegisteredHost;
  readonly #queue: KeyedQueue<'pools'>;

  constructor(deps: Deps, access: SystemAccess, host: RegisteredHost) {
    this.#deps = deps;
    this.#access = access;
    this.#host = host;
    this.#queue = new KeyedQueue({
      concurrency: 1,
      work: (_, signal) => this.#look(signal),
      onError: (_, error) => deps.log.warn({ err: error, host: host.name }, 'looking after pools failed'),
    });
  }

  wake(): void {
    this.#queue.wake('pools');
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { db, cloudId } = this.#deps;
    const { agent, id: hostId } = this.#host;
    const links = await db.selectFrom('pool_hosts').selectAll().where('host_id', '=', hostId).execute();
    const ids = links.map(({ pool_id }) => pool_id);
    if (ids.length === 0) return;
    const rows = await db.selectFrom('pools').selectAll().where('id', 'in', ids).execute();
    for (const row of rows) {
      const link = links.find(({ pool_id }) => pool_id === row.id)!;
      if (row.driver === 'local') await this.#lookAtOwn(row, link, signal);
      else if (row.desired === 'deleted') await this.#forget(row, signal);
      else if (link.converged_generation !== row.generation || link.failure) await this.#open(row, link, signal);
    }
    if (rows.every(({ driver }) => driver === 'local')) return;
    const seen = await agent.listPools(cloudId, { signal });
    for (const pool of seen) {
      const row = rows.find(({ id }) => id === pool.id);
      if (row === undefined) await agent.deletePool(pool, { signal }).catch(leaveInUse);
      else if (row.desired !== 'deleted') await this.#write(pool.id, pool);
    }
  }

  async #lookAtOwn(row: PoolRow, { abilities }: Link, signal: AbortSignal): Promise<void> {
    const { db } = this.#deps;
    const host = await db.selectFrom('hosts').select('facts').where('id', '=', this.#host.id).executeTakeFirst();
    if (!host?.facts) return;
    const { storageTotalBytes: capacityBytes, storageFreeBytes: freeBytes } = host.facts;
    const known = abilities ?? (await this.#host.agent.storageAbilities({ signal }));
    await this.#write(row.id, { capacityBytes, freeBytes, failure: null, abilities: known });
  }

  async #open(row: PoolRow, link: Link, signal: AbortSignal): Promise<void> {
    const { db, cloudId, seal } = this.#deps;
    try {
      await this.#host.agent.applyPool(desiredPoolOf(row, cloudId, seal)!, { signal });
    } catch (error) {
      if (!(error instanceof VirgaError) || signal.aborted) throw error;
      // One that is away is asked again when it is back.
      if (error.code === 'HostUnavailable') throw error;
      await this.#fail(row, link, error);
      return;
    }
    await inTransaction(db, async (tx) => {
      await tx.updateTable('pools').set({ opened: true }).where('id', '=', row.id).execute();
      await tx
        .updateTable('pool_hosts')
        .set({ converged_generation: row.generation, failure: null })
        .where('pool_id', '=', row.id)
        .where('host_id', '=', this.#host.id)
        .execute();
      await this.#endOpening(tx, row);
      if (link.converged_generation > 0 && !link.failure) return;
      await this.#tell(tx, row, 'pool.ready', `Pool ${row.name} can be used on host ${this.#host.name}.`);
    });
  }

  async #fail(row: PoolRow, link: Link, { code, detail, action }: VirgaError): Promise<void> {
    if (link.failure?.detail === detail) return;
    await inTransaction(this.#deps.db, async (tx) => {
      await tx.selectFrom('pools').select('id').where('id', '=', row.id).forUpdate().execute();
      await tx
        .updateTable('pool_hosts')
        .set({ failure: JSON.stringify({ code, detail, action }) })
        .where('pool_id', '=', row.id)
        .where('host_id', '=', this.#host.id)
        .execute();
      await this.#endOpening(tx, row);
      await this.#tell(
        tx,
        row,
        'pool.unavailable',
        `Pool ${row.name} cannot be used on host ${this.#host.name}: ${detail} ${action}`,
      );
    });
  }

  /** Whoever waits for the pool is told once each of its hosts has answered. */
  async #endOpening(tx: Tx, { id, name }: PoolRow): Promise<void> {
    const links = await tx
      .selectFrom('pool_hosts')
      .innerJoin('hosts', 'hosts.id', 'pool_hosts.host_id')
      .select(['hosts.name', 'pool_hosts.failure', 'pool_hosts.converged_generation'])
      .where('pool_id', '=', id)
      .orderBy('hosts.name')
      .execute();
    if (links.some(({ failure, converged_generation }) => failure === null && converged_generation === 0)) return;
    const failed = links.find(({ failure }) => failure !== null);
    const error =
      failed &&
      new VirgaError('PoolUnusable', {
        detail: `Pool ${name} cannot be used on host ${failed.name}: ${failed.failure!.detail}`,
        action: `${failed.failure!.action} It is tried again; virga pools delete ${name} ends that.`,
      });
    // Its deletion may have been asked for meanwhile, which goes on.
    const opening = await tx
      .selectFrom('operations')
      .select('id')
      .where('resource_id', '=', id)
      .where('kind', '=', createPoolKind)
      .where('state', 'in', ['queued', 'running'])
      .executeTakeFirst();
    if (opening) await endOperation(tx, this.#access, opening.id, { error }, this.#deps.clock.now());
  }

  async #forget(row: PoolRow, signal: AbortSignal): Promise<void> {
    const { db, cloudId } = this.#deps;
    await this.#host.agent.deletePool({ id: row.id, cloudId }, { signal });
    await inTransaction(db, async (tx) => {
      await tx.selectFrom('pools').select('id').where('id', '=', row.id).forUpdate().execute();
      await tx.deleteFrom('pool_hosts').where('pool_id', '=', row.id).where('host_id', '=', this.#host.id).execute();
      const left = await tx.selectFrom('pool_hosts').select('host_id').where('pool_id', '=', row.id).execute();
      if (left.length > 0) return;
      await tx.deleteFrom('pools').where('id', '=', row.id).execute();
      for (const id of await openOperationsOf(tx, row.id)) {
        await endOperation(tx, this.#access, id, {}, this.#deps.clock.now());
      }
      await this.#tell(tx, row, 'pool.deleted', `Pool ${row.name} was deleted; what it was made of stays.`);
    });
  }

  /** What a host shows of a pool. */
  async #write(
    id: PoolId,
    {
      capacityBytes,
      freeBytes,
      failure,
      abilities,
    }: Pick<ObservedPool, 'capacityBytes' | 'freeBytes' | 'failure' | 'abilities'>,
  ): Promise<void> {
    await inTransaction(this.#deps.db, async (tx) => {
      const row = await tx.selectFrom('pools').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
      if (!row) return;
      const link = await tx
        .selectFrom('pool_hosts')
        .selectAll()
        .where('pool_id', '=', id)
        .where('host_id', '=', this.#host.id)
        .executeTakeFirst();
      // One that was never opened says itself why, when it is.
      if (!link || link.converged_generation === 0) return;
      const told = { failure: failure && { code: 'PoolUnusable', ...failure }, abilities: abilities ?? link.abilities };
      // It is looked at all the time, and hardly ever other than before.
      if (!isDeepStrictEqual(told, { failure: link.failure, abilities: link.abilities })) {
        await tx
          .updateTable('pool_hosts')
          .set({
            failure: told.failure && JSON.stringify(told.failure),
            abilities: told.abilities && JSON.stringify(told.abilities),
          })
          .where('pool_id', '=', id)
          .where('host_id', '=', this.#host.id)
          .execute();
      }
      if ((link.failure === null) !== (failure === null)) {
        const what = failure
          ? `cannot be used on host ${this.#host.name}: ${failure.detail}`
          : `can be used again on host ${this.#host.name}.`;
        await this.#tell(tx, row, failure ? 'pool.unavailable' : 'pool.ready', `Pool ${row.name} ${what}`);
      }
      if (failure) return;
      const seen = { ...row, capacity_bytes: capacityBytes, free_bytes: freeBytes };
      const low = isLow(seen, row.is_low);
      if (isDeepStrictEqual({ ...seen, is_low: low }, row)) return;
      await tx
        .updateTable('pools')
        .set({ capacity_bytes: capacityBytes, free_bytes: freeBytes, is_low: low })
        .where('id', '=', id)
        .execute();
      if (low === row.is_low) return;
      const percent = Math.round((100 * freeBytes) / Math.max(1, capacityBytes));
      const where = row.driver === 'local' ? `${row.name} of host ${this.#host.name}` : row.name;
      await this.#tell(
        tx,
        row,
        low ? 'pool.low-space' : 'pool.space-again',
        low
          ? `Pool ${where} has ${percent} % left: delete what is not needed, or add storage, before guests stand still.`
          : `Pool ${where} has room again: ${percent} % are free.`,
      );
    });
  }

  #tell(tx: Tx, row: PoolRow, type: string, message: string): Promise<unknown> {
    return appendEvent(tx, this.#access, {
      type,
      projectId: null,
      resourceId: row.id,
      resourceName: row.name,
      message,
      data: { hostId: this.#host.id },
    });
  }
}

/** Volumes of a database of before may lie in it: they go first. */
function leaveInUse(error: unknown): void {
  if (!(error instanceof VirgaError) || error.code !== 'InUse') throw error;
}
