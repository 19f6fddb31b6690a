// Gives one host what it is to keep of itself for a lost database, whenever that changes and whenever it is back. Takes no input;
// what the host was last told is remembered only to spare it the same again.
import { isDeepStrictEqual } from 'node:util';
import { VirgaError } from '@virga/contract/errors';
import type { RegisteredHost } from '../agents/agent-registry.ts';
import type { Deps } from '../deps.ts';
import { hostKeepsakeOf, type KeptHostState } from '../recover/host-keepsake.ts';
import { KeyedQueue } from './keyed-queue.ts';

export class HostKeeper {
  readonly #deps: Deps;
  readonly #host: RegisteredHost;
  readonly #queue: KeyedQueue<'keepsake'>;
  #told: KeptHostState | undefined;

  constructor(deps: Deps, host: RegisteredHost) {
    this.#deps = deps;
    this.#host = host;
    this.#queue = new KeyedQueue({
      concurrency: 1,
      work: (_, signal) => this.#tell(signal),
      onError: (_, error) => deps.log.warn({ err: error, host: host.name }, 'a host could not be given its keepsake'),
    });
  }

  /** @param isBack the host may have lost what it was given */
  wake({ isBack = false }: { isBack?: boolean } = {}): void {
    if (isBack) this.#told = undefined;
    this.#queue.wake('keepsake');
  }

  close(): Promise<void> {
    return this.#queue.close();
  }

  async #tell(signal: AbortSignal): Promise<void> {
    const kept = await hostKeepsakeOf(this.#deps.db, this.#host.id);
    if (kept === undefined || isDeepStrictEqual(kept, this.#told)) return;
    try {
      await this.#host.agent.keepHost(this.#deps.cloudId, kept, { signal });
      this.#told = kept;
    } catch (error) {
      // It is given it when it is back.
      if (error instanceof VirgaError && error.code === 'HostUnavailable') return;
      throw error;
    }
  }
}
