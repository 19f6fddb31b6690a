// Tells one host how its CPUs are divided, whenever that changes and whenever it is back. Takes no input and holds nothing that
// could be lost: what the host was last told stands in its row.
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { inTransaction } from '../../store/database.ts';
import { completeCores } from './cpu-claims.ts';
import { readPools } from './cpu-pools.ts';

export class CpuPoolReconciler {
  readonly #deps: Deps;
  readonly #host: RegisteredHost;
  readonly #ending = new AbortController();
  #running: Promise<void> | undefined;
  #isWoken = false;
  #isForced = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: Deps, _access: SystemAccess, host: RegisteredHost) {
    this.#deps = deps;
    this.#host = host;
  }

  /** @param isBack the host may have forgotten what it was told */
  wake({ isBack = false }: { isBack?: boolean } = {}): void {
    if (this.#ending.signal.aborted) return;
    this.#isWoken = true;
    this.#isForced ||= isBack;
    clearTimeout(this.#timer);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      if (this.#isWoken) this.wake();
    });
  }

  async close(): Promise<void> {
    this.#ending.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#isWoken && !this.#ending.signal.aborted) {
      this.#isWoken = false;
      try {
        await this.#tell();
      } catch (error) {
        if (this.#ending.signal.aborted) return;
        this.#deps.log.warn({ err: error, host: this.#host.name }, 'the CPUs of a host could not be divided');
        this.#timer = setTimeout(() => this.wake(), this.#deps.settings.reconcilePeriodMs);
      }
    }
  }

  async #tell(): Promise<void> {
    const { db, cloudId } = this.#deps;
    if (this.#isForced) await inTransaction(db, (tx) => completeCores(tx, this.#host.id));
    const read = await readPools(db, this.#host.id);
    if (!read || (read.generation === read.convergedGeneration && !this.#isForced)) return;
    const { signal } = this.#ending;
    await this.#host.agent.applyCpuPools(cloudId, read.pools, { signal });
    this.#isForced = false;
    if (read.generation === read.convergedGeneration) return;
    await db
      .updateTable('hosts')
      .set({ cpu_converged_generation: read.generation })
      .where('id', '=', this.#host.id)
      .execute();
  }
}
