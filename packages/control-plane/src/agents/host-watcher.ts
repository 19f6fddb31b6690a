// Listens to one host for as long as the server runs: writes down whether the host can be used and what it says about
// itself, and passes on what happens there. A watch that breaks is begun anew; what was missed comes with `ready`.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ObservedDrift } from '@virga/contract/agent/definition';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { ObservedInstance, ObservedNetwork } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, NetworkId } from '@virga/contract/ids';
import type { SystemAccess } from '../access/authorizer.ts';
import type { Deps } from '../deps.ts';
import { recordFacts, recordUnreachable } from '../modules/hosts/host-operations.ts';
import type { RegisteredHost } from './agent-registry.ts';

export type HostListener = {
  /** The host can be used again, and this is all there is on it since it booted. */
  ready(instances: ObservedInstance[], networks: ObservedNetwork[], bootId: string): void;
  /** The host cannot be used until it is ready again. */
  unreachable(): void;
  facts(facts: HostFacts): void;
  /** What it said of itself is written down. */
  factsRecorded(): void;
  instance(instance: ObservedInstance): void;
  /** Somebody has changed the definition of an instance. */
  drift(id: InstanceId, drift: ObservedDrift): void;
  networkChanged(id: NetworkId): void;
};

const retryMs = 1_000;

export class HostWatcher {
  readonly #deps: Deps;
  readonly #access: SystemAccess;
  readonly #host: RegisteredHost;
  readonly #listener: HostListener;
  readonly #ending = new AbortController();
  #running: Promise<unknown> = Promise.resolve();
  /** Between `ready` and `unreachable`. */
  isReachable = false;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(deps: Deps, access: SystemAccess, host: RegisteredHost, listener: HostListener) {
    this.#deps = deps;
    this.#access = access;
    this.#host = host;
    this.#listener = listener;
  }

  start(): void {
    this.#running = Promise.all([
      this.#forever(() => this.#watch(), retryMs),
      this.#forever(() => this.#refreshFacts(), this.#deps.settings.factsPeriodMs),
    ]);
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #forever(work: () => Promise<void>, pauseMs: number): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await work();
      } catch (error) {
        this.#log(error);
      }
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
    }
  }

  async #watch(): Promise<void> {
    for await (const event of this.#host.agent.watch(this.#deps.cloudId, this.#ending.signal)) {
      switch (event.type) {
        case 'ready':
          this.isReachable = true;
          this.#listener.ready(event.instances, event.networks, event.bootId);
          // Not waited for: on a new host facts take seconds, and what happens there must be seen meanwhile.
          this.#refreshFacts().catch((error) => this.#log(error));
          break;
        case 'unreachable':
          this.isReachable = false;
          await this.#recordUnreachable(event);
          this.#listener.unreachable();
          break;
        case 'instance':
          this.#listener.instance(event.instance);
          break;
        case 'drift':
          this.#listener.drift(event.id, event.drift);
          break;
        case 'network-changed':
          this.#listener.networkChanged(event.id);
      }
    }
  }

  /** Facts of a host that is away are not asked for: the watch says when it is back. */
  async #refreshFacts(): Promise<void> {
    if (!this.isReachable) return;
    const { db, settings, clock } = this.#deps;
    try {
      const facts = await this.#host.agent.facts({ signal: this.#ending.signal });
      this.#listener.facts(facts);
      await this.#inTurn(async () => {
        if (this.isReachable) await recordFacts(db, this.#access, this.#host.id, facts, settings, clock.now());
      });
      this.#listener.factsRecorded();
    } catch (error) {
      if (!(error instanceof VirgaError) || error.code !== 'HostUnavailable') throw error;
      await this.#recordUnreachable(error);
    }
  }

  async #recordUnreachable(reason: Pick<VirgaError, 'detail' | 'action'>): Promise<void> {
    await this.#inTurn(() => recordUnreachable(this.#deps.db, this.#access, this.#host.id, reason));
  }

  /** Writes about the host happen in the order of what they tell. */
  #inTurn(write: () => Promise<void>): Promise<void> {
    const turn = this.#lastWrite.then(write);
    this.#lastWrite = turn.catch(() => {});
    return turn;
  }

  #log(error: unknown): void {
    if (!this.#ending.signal.aborted)
      this.#deps.log.warn({ err: error, host: this.#host.name }, 'watching a host failed');
  }
}
