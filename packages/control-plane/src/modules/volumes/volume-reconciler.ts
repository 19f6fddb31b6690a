// Brings every volume to what is desired on its host: made, grown, removed. Takes no input: it is woken by commits, by hosts
// that come back, and by time, and reads the row again each time. A host that is away is waited for; a volume that is gone
// from its host is said to be lost, and never made anew.
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { KeyedQueue } from '../../reconcile/keyed-queue.ts';
import { reapVolumes } from './orphaned-volume-reaper.ts';
import { desiredVolumeOf } from './volume.ts';
import { recordVolumeDeleted, recordVolumeFailed, recordVolumeReached, recordVolumeSeen } from './volume-outcome.ts';
import type { VolumeRow } from './volume-store.ts';

const concurrency = 4;

export class VolumeReconciler {
  readonly #context: { deps: Deps; access: SystemAccess };
  readonly #queue: KeyedQueue<VolumeId>;

  constructor(deps: Deps, access: SystemAccess) {
    this.#context = { deps, access };
    this.#queue = new KeyedQueue({
      concurrency,
      work: (id, signal) => this.#reconcile(id, signal),
      onError: (id, error) => deps.log.warn({ err: error, volume: id }, 'reconciling a volume failed'),
    });
  }

  wake(id: VolumeId): void {
    this.#queue.wake(id);
  }

  /** Looks at every volume that is not as it was last asked for. */
  async wakeUnconverged(): Promise<void> {
    const rows = await this.#context.deps.db
      .selectFrom('volumes')
      .select('id')
      .where((where) =>
        where.or([where('desired', '=', 'deleted'), where('converged_generation', '!=', where.ref('generation'))]),
      )
      .execute();
    for (const { id } of rows) this.wake(id);
  }

  /** Asks a host what it has: what was lost is said to be, and what no row owns is removed. */
  async resync(host: RegisteredHost, signal: AbortSignal): Promise<void> {
    const { deps } = this.#context;
    // Before the host is asked: what is made meanwhile would be missed in its answer.
    const rows = await deps.db
      .selectFrom('volumes')
      .selectAll()
      .where('host_id', '=', host.id)
      .where('desired', '!=', 'deleted')
      .whereRef('converged_generation', '=', 'generation')
      .execute();
    const seen = await host.agent.listVolumes(deps.cloudId, { signal });
    const intact = new Set(seen.filter((volume) => volume.intact).map(({ id }) => id));
    for (const row of rows) await recordVolumeSeen(this.#context, row, intact.has(row.id));
    await reapVolumes(this.#context, host, seen, signal);
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  async #reconcile(id: VolumeId, signal: AbortSignal): Promise<void> {
    const { db } = this.#context.deps;
    const row = await db.selectFrom('volumes').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row || (row.desired !== 'deleted' && row.converged_generation === row.generation)) return;
    try {
      const isThere = row.desired === 'deleted' ? await this.#delete(row, signal) : await this.#apply(row, signal);
      if (!isThere) this.wake(id);
    } catch (error) {
      if (!(error instanceof VirgaError) || signal.aborted) throw error;
      if (!(await recordVolumeFailed(this.#context, row, error))) throw error;
      this.wake(id);
    }
  }

  async #apply(row: VolumeRow, signal: AbortSignal): Promise<boolean> {
    const { agents, cloudId } = this.#context.deps;
    await agents.agentOf(row.host_id).applyVolume(desiredVolumeOf(row, cloudId), { signal });
    return recordVolumeReached(this.#context, row);
  }

  async #delete(row: VolumeRow, signal: AbortSignal): Promise<boolean> {
    const { agents, cloudId } = this.#context.deps;
    await agents.agentOf(row.host_id).deleteVolume({ id: row.id, cloudId }, { signal });
    return recordVolumeDeleted(this.#context, row);
  }
}
