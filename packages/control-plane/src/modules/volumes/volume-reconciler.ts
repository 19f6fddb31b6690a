// Brings every volume to what is desired on its host: made, grown, removed. Takes no input: it is woken by commits, by hosts
// that come back, and by time, and reads the row again each time. A host that is away is waited for; a volume that is gone
// from its host is said to be lost, and never made anew.
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { KeyedQueue } from '../../reconcile/keyed-queue.ts';
import { OperationProgress } from '../../reconcile/operation-progress.ts';
import { provideImage } from '../images/image-hosts.ts';
import { reapMoves } from './orphaned-move-reaper.ts';
import { reapVolumes } from './orphaned-volume-reaper.ts';
import { giveKeys, wholeVolume } from './volume-keys.ts';
import {
  recordVolumeDeleted,
  recordVolumeFailed,
  recordVolumeProgress,
  recordVolumeReached,
  recordVolumeSeen,
  recordVolumeUsage,
} from './volume-outcome.ts';
import type { VolumeRow } from './volume-store.ts';

const concurrency = 8;
/** What copies much leaves room for what takes a moment. */
const copiesAtOnce = 4;
const lookAgainMs = 200;

export class VolumeReconciler {
  readonly #context: { deps: Deps; access: SystemAccess };
  readonly #queue: KeyedQueue<VolumeId>;
  #copying = 0;

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
    await recordVolumeUsage(this.#context, seen);
    await reapVolumes(this.#context, host, seen, signal);
    await reapMoves(deps, host, signal);
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }

  async #reconcile(id: VolumeId, signal: AbortSignal): Promise<void> {
    const { db } = this.#context.deps;
    const row = await db.selectFrom('volumes').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row || (row.desired !== 'deleted' && row.converged_generation === row.generation)) return;
    if (!isCopied(row)) return this.#converge(row, signal);
    if (this.#copying >= copiesAtOnce) return this.#queue.wakeAfter(id, lookAgainMs);
    this.#copying++;
    try {
      await this.#converge(row, signal);
    } finally {
      this.#copying--;
    }
  }

  async #converge(row: VolumeRow, signal: AbortSignal): Promise<void> {
    try {
      const isThere = row.desired === 'deleted' ? await this.#delete(row, signal) : await this.#apply(row, signal);
      if (!isThere) this.wake(row.id);
    } catch (error) {
      if (!(error instanceof VirgaError) || signal.aborted) throw error;
      if (!(await recordVolumeFailed(this.#context, row, error))) throw error;
      this.wake(row.id);
    }
  }

  async #apply(row: VolumeRow, signal: AbortSignal): Promise<boolean> {
    const { deps } = this.#context;
    const { agents } = deps;
    const agent = agents.agentOf(row.host_id);
    const desired = await wholeVolume(deps, row);
    // What it is made of may be encrypted.
    if (row.snapshot && row.converged_generation === 0) await giveKeys(deps, { volumeId: row.snapshot.diskId }, signal);
    const progress = new OperationProgress((told) => recordVolumeProgress(this.#context, row, told));
    const apply = () => agent.applyVolume(desired, { signal, onProgress: progress.report });
    const attempt = apply().catch(async (error) => {
      // The image has not been needed on that host before.
      const isMissing = error instanceof VirgaError && error.code === 'NotFound' && row.image_id !== null;
      const host = agents.all().find(({ id }) => id === row.host_id);
      if (!isMissing || !host) throw error;
      await provideImage(this.#context.deps, host, row.image_id!, signal);
      return apply();
    });
    const seen = await attempt.finally(() => progress.end());
    return recordVolumeReached(this.#context, row, seen);
  }

  async #delete(row: VolumeRow, signal: AbortSignal): Promise<boolean> {
    const { agents, cloudId } = this.#context.deps;
    await agents
      .agentOf(row.host_id)
      .deleteVolume({ id: row.id, cloudId, ...(row.wipe && { wipe: 'zero' }) }, { signal });
    return recordVolumeDeleted(this.#context, row);
  }
}

/** It is to be made as a copy of an image or of what a snapshot keeps. */
const isCopied = ({ desired, converged_generation, clone, snapshot }: VolumeRow): boolean =>
  desired !== 'deleted' && converged_generation === 0 && (clone === 'full' || snapshot !== null);
