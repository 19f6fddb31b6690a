// Writes down what a host and its instances use: asks its agent for the counters again and again, and keeps only the last
// answer, so a server that was away loses what was used meanwhile and nothing else. A sample that fails is left out.
import type { HostUsage } from '@virga/contract/agent/host-usage';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { ratesBetween } from './usage-rates.ts';
import { forgetOld, insertSample, rollUp } from './usage-store.ts';

/** Samples that may be missed in a row before what was used meanwhile is left out rather than averaged. */
const mostMissed = 5;

export class UsageRecorder {
  readonly #deps: Deps;
  readonly #access: SystemAccess;
  readonly #host: RegisteredHost;
  #before: HostUsage | undefined;

  constructor(deps: Deps, access: SystemAccess, host: RegisteredHost) {
    this.#deps = deps;
    this.#access = access;
    this.#host = host;
  }

  /** Takes one sample. The first one only begins. @throws HostUnavailable */
  async record(signal?: AbortSignal): Promise<void> {
    const { db, clock, settings } = this.#deps;
    const now = await this.#host.agent.hostUsage({ signal });
    const rates = ratesBetween(this.#before, now, settings.usagePeriodMs * (mostMissed + 1));
    this.#before = now;
    if (rates) await insertSample(db, this.#access, this.#host.id, clock.now(), rates);
  }
}

/** Rolls up what is complete, and removes what is old. Any number of times. */
export async function keepHistory(deps: Deps, access: SystemAccess, signal?: AbortSignal): Promise<void> {
  await rollUp(deps.db, access, 5, deps.clock.now());
  await rollUp(deps.db, access, 60, deps.clock.now());
  await forgetOld(deps.db, access, deps.clock.now(), signal);
}
