// Brings the instances of one host to what is desired. Takes no input: it is woken by commits, by the host, and by time,
// and reads the row again each time. Holds what the host last showed of each instance, and nothing that could be lost.
// A host that is away is waited for; what fails for good is written down by instance-outcome.ts.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { HostId, InstanceId, NetworkId } from '@virga/contract/ids';
import type { CrashPolicy } from '@virga/contract/rest/instance-attributes';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { Gate } from '../../reconcile/gate.ts';
import { KeyedQueue } from '../../reconcile/keyed-queue.ts';
import { OperationProgress } from '../../reconcile/operation-progress.ts';
import type { DesiredState } from '../../store/compute-tables.ts';
import { storeError } from '../../store/database.ts';
import { progressOperation } from '../operations/operation-store.ts';
import { recordDrift } from './definition-drift.ts';
import { hasDetaching, hasPending, notMadeOf } from './device-store.ts';
import { followInstance, followRefusals, movedInVain } from './follow-instance.ts';
import { HostSight } from './host-sight.ts';
import { type Deviation, deviation } from './instance.ts';
import { forgetFailure, recordApplied, recordDeleted, recordFailed, recordObserved } from './instance-outcome.ts';
import { recordGivenBack, showsSizes } from './instance-room.ts';
import {
  desiredInstanceOf,
  failureError,
  findInstanceOrder,
  type InstanceOrder,
  type InstanceRow,
  identityOf,
} from './instance-store.ts';
import { reapInstance } from './orphaned-instance-reaper.ts';
import { adoptPower, adoptStart, adoptStop, beginRepair, recordRepaired } from './outside-change.ts';
import { type HostView, mayHaveMoved, sightingsOf, whereabouts } from './whereabouts.ts';

/** Clocks of hosts differ a little: a guest whose time is over may be cut off a moment later. */
const shortestWaitMs = 200;

/** While one waits for its disk, another can use the processor. */
const fewestAtOnce = 2;

export type InstanceReconcilerOptions = {
  deps: Deps;
  access: SystemAccess;
  host: RegisteredHost;
  /** Brings image and networks of the instance to the host, when it turns out that one is missing there. */
  provide: (row: InstanceRow, signal: AbortSignal) => Promise<void>;
  /** What the other hosts of the cloud show. */
  others: () => HostView[];
  /** Has the instance looked at where its row says that it is. */
  wakeAt: (hostId: HostId, id: InstanceId) => void;
  /** The host has leases of a network that are no longer its own. */
  leasesLeft: (id: NetworkId) => void;
};

export class InstanceReconciler {
  readonly #context: { deps: Deps; access: SystemAccess };
  readonly #host: RegisteredHost;
  readonly #options: Pick<InstanceReconcilerOptions, 'provide' | 'others' | 'wakeAt' | 'leasesLeft'>;
  readonly #queue: KeyedQueue<InstanceId>;
  readonly #sight: HostSight;
  /** Generations that came of an adoption. */
  readonly #adopted = new Map<InstanceId, number>();
  /** Observations that are just being written. */
  readonly #notices = new Map<InstanceId, Promise<void>>();
  /** As the host has reported them. */
  hostThreads = 0;
  /** Open once the boot of the host has been looked into: before, nothing is done there, or written down of it. */
  readonly gate = new Gate();

  constructor({ deps, access, host, ...options }: InstanceReconcilerOptions) {
    this.#context = { deps, access };
    this.#host = host;
    this.#options = options;
    this.#sight = new HostSight(host.agent, deps.cloudId);
    const concurrency = () => Math.min(deps.settings.reconcileConcurrency, Math.max(fewestAtOnce, this.hostThreads));
    this.#queue = new KeyedQueue({
      get concurrency() {
        return concurrency();
      },
      work: (id, signal) => this.#reconcile(id, signal),
      onError: (id, error) => deps.log.warn({ err: error, instance: id, host: host.name }, 'reconciling failed'),
    });
  }

  get view(): HostView {
    return { host: this.#host, sight: this.#sight };
  }

  wake(id: InstanceId): void {
    this.#queue.wake(id);
  }

  /** The host has shown something. It is written down at once, before there is room to act on it. */
  observed(instance: ObservedInstance): void {
    this.#sight.told(instance);
    if (!this.#queue.isRunning(instance.id)) this.#notice(instance);
    this.#queue.wake(instance.id);
  }

  /** All that the host has. What differs from what is desired, or from what was seen before, is looked at. */
  async listed(instances: ObservedInstance[], askedAt = this.#sight.moment): Promise<void> {
    const listed = new Map(instances.map((instance) => [instance.id, instance]));
    const rows = await this.#context.deps.db
      .selectFrom('instances')
      .select([
        'id',
        'desired',
        'generation',
        'converged_generation',
        'observed_state',
        'observed_reason',
        'observed_vcpus',
        'observed_memory_mib',
      ])
      .select(['crash_policy', 'domain_name'])
      .where('host_id', '=', this.#host.id)
      .execute();
    for (const row of rows) {
      const seen = listed.get(row.id) ?? this.#sight.nothingOf(row.id);
      listed.delete(row.id);
      if (!this.#sight.answered(row.id, seen, askedAt)) continue;
      const hasConverged = row.desired !== 'deleted' && row.generation === row.converged_generation;
      const isKnown = row.observed_state === seen.state && row.observed_reason === seen.reason && showsSizes(row, seen);
      if (!hasConverged || !isKnown || judge(row, seen) !== 'none') this.wake(row.id);
    }
    for (const orphan of listed.values()) {
      if (this.#sight.answered(orphan.id, orphan, askedAt)) this.wake(orphan.id);
    }
  }

  /** Asks the host what it has, and looks at it. */
  async resync(signal?: AbortSignal): Promise<void> {
    const askedAt = this.#sight.moment;
    await this.listed(await this.#host.agent.listInstances(this.#context.deps.cloudId, { signal }), askedAt);
  }

  #forget(id: InstanceId): void {
    this.#sight.forget(id);
    this.#adopted.delete(id);
  }

  async close(): Promise<void> {
    const closing = this.#queue.close();
    this.gate.end();
    await closing;
    await Promise.all(this.#notices.values());
  }

  #notice(instance: ObservedInstance): void {
    const earlier = this.#notices.get(instance.id) ?? Promise.resolve();
    const notice = Promise.all([earlier, this.gate.pass()])
      .then(async ([, isOpen]) => isOpen && recordObserved(this.#context, this.#host.id, instance))
      .catch((error) => this.#context.deps.log.warn({ err: error, instance: instance.id }, 'an observation was lost'))
      .then(() => {
        if (this.#notices.get(instance.id) === notice) this.#notices.delete(instance.id);
      });
    this.#notices.set(instance.id, notice);
  }

  async #reconcile(id: InstanceId, signal: AbortSignal): Promise<void> {
    if (!(await this.gate.pass())) return;
    await this.#notices.get(id);
    const row = await findInstanceOrder(this.#context.deps.db, id);
    if (!row) return this.#reap(id, signal);
    if (row.host_id !== this.#host.id) return this.#tellOwner(row);
    if (await this.#isElsewhere(row)) return;
    const hasConverged = row.desired !== 'deleted' && row.generation === row.converged_generation;
    if (hasConverged || this.#isAdoptedAnew(row)) return this.#compare(row, signal);
    const waitMs = (row.retry_at?.getTime() ?? 0) - this.#context.deps.clock.now().getTime();
    if (waitMs > 0) return this.#queue.wakeAfter(id, waitMs);
    const notMade = row.converged_generation === 0 ? notMadeOf(row) : undefined;
    if (row.desired === 'deleted') await this.#delete(row, signal);
    else if (notMade) this.#queue.wakeAfter(id, await recordFailed(this.#context, row, failureError(notMade)));
    else if (hasPending(row)) this.#queue.wakeAfter(id, shortestWaitMs);
    else if (await this.#apply(row, signal)) {
      const seen = this.#sight.get(id);
      if (seen && judge(row, seen) !== 'none') this.wake(id);
    }
  }

  /** Somebody has moved it here, or its definition was left here. Whoever has the row decides. */
  #tellOwner({ host_id: hostId, id }: InstanceRow): void {
    if ((this.#sight.get(id)?.state ?? 'absent') === 'absent') this.#sight.forget(id);
    else this.#options.wakeAt(hostId, id);
  }

  /** An instance that somebody has moved is followed. @returns whether nothing is to be done to it on this host now */
  async #isElsewhere(row: InstanceRow): Promise<boolean> {
    const others = this.#options.others();
    if (row.converged_generation === 0 || !mayHaveMoved(this.#sight.get(row.id), others, row.id)) return false;
    const { deps } = this.#context;
    const where = whereabouts(row, await sightingsOf(row.id, this.view, others));
    if (where.at === 'home') return false;
    let error = where.at === 'held' ? where.error : undefined;
    if (where.at === 'other') {
      try {
        await followInstance(this.#context, row, where.host, where.seen);
        for (const { networkId } of row.nics) this.#options.leasesLeft(networkId);
        return true;
      } catch (refusal) {
        if (!(refusal instanceof VirgaError) || !followRefusals.has(refusal.code)) throw refusal;
        error = movedInVain(row, where.host, refusal);
      }
    }
    const waitMs = (row.retry_at?.getTime() ?? 0) - deps.clock.now().getTime();
    if (error === undefined) this.#queue.wakeAfter(row.id, deps.settings.reconcilePeriodMs);
    else if (waitMs > 0) this.#queue.wakeAfter(row.id, waitMs);
    else this.#queue.wakeAfter(row.id, await recordFailed(this.#context, row, error));
    return true;
  }

  /**
   * What was adopted is brought to the host too, which takes a moment. When somebody does the next thing meanwhile, that is
   * what they want, and nobody here has asked for anything.
   */
  #isAdoptedAnew(row: InstanceRow): boolean {
    const seen = this.#sight.get(row.id);
    if (this.#adopted.get(row.id) !== row.generation) return false;
    return seen !== undefined && judge(row, seen) !== 'none';
  }

  async #delete(row: InstanceRow, signal: AbortSignal): Promise<void> {
    const { deps } = this.#context;
    const { agent } = this.#host;
    const identity = identityOf(row, deps.cloudId);
    // One that was renamed while it ran still has the name of before, and keeps it.
    const name = row.released ? this.#sight.get(row.id)?.domainName : undefined;
    const done = await this.#call(row, signal, (context) =>
      row.released ? agent.releaseInstance(identity, context) : agent.deleteInstance(identity, context),
    );
    if (!done) return;
    const gone = { ...row, ...(name && { domain_name: name }) };
    if (await recordDeleted(this.#context, gone)) this.#forget(row.id);
    else this.wake(row.id);
  }

  async #apply(row: InstanceOrder, signal: AbortSignal): Promise<boolean> {
    const { deps } = this.#context;
    const desired = desiredInstanceOf(row, deps.cloudId);
    const askedAt = this.#sight.moment;
    const done = await this.#call(row, signal, (context) => this.#host.agent.applyInstance(desired, context));
    if (!done) return false;
    this.#sight.answered(row.id, done.value, askedAt);
    if (done.value.drift) {
      await recordDrift(this.#context, this.#host.id, row.id, done.value.drift);
      this.wake(row.id);
      return false;
    }
    const isReached = await recordApplied(this.#context, row, done.value);
    if (!isReached && row.desired === 'stopped' && done.value.state === 'hibernated') {
      // Somebody was faster. To stop it now would lose the memory that was saved.
      await adoptPower(this.#context, row, 'adopt-hibernate', done.value);
      this.wake(row.id);
    } else if (!isReached) this.#lookAgain(row, done.value);
    return isReached;
  }

  /** A guest that is shutting down holds no place in the queue: the host tells when it is off, or its time is over. */
  #lookAgain(row: InstanceRow, { state }: ObservedInstance): void {
    const { clock, settings } = this.#context.deps;
    const { force_at: forceAt, reboot } = row;
    const isCycled = reboot?.how === 'cycle' && state === 'stopping';
    const forcedAtMs = isCycled ? Date.parse(reboot.forceAt ?? '') || 0 : (forceAt?.getTime() ?? 0);
    const untilForcedMs = forcedAtMs - clock.now().getTime();
    const isShuttingDown = isCycled || (row.desired === 'stopped' && state !== 'absent');
    this.#queue.wakeAfter(
      row.id,
      isShuttingDown ? Math.max(shortestWaitMs, untilForcedMs) : settings.reconcilePeriodMs,
    );
  }

  /** Calls the host. Undefined when it failed for good, which is written down; throws when it is to be tried again. */
  async #call<T>(
    row: InstanceRow,
    signal: AbortSignal,
    call: (context: { signal: AbortSignal; onProgress: (message: string, percent: number) => void }) => Promise<T>,
  ): Promise<{ value: T } | undefined> {
    const { deps, access } = this.#context;
    const tell = async (progress: { message: string; percent: number }) => {
      if (row.operation_id) await progressOperation(deps.db, access, row.operation_id, progress, deps.clock.now());
    };
    const progress = new OperationProgress(tell);
    const context = { signal, onProgress: progress.report };
    try {
      const attempt = () => call(context);
      return { value: await attempt().catch((error) => this.#retryProvided(error, row, signal, attempt)) };
    } catch (error) {
      await progress.end();
      const fault = this.#faultOf(error);
      if (signal.aborted || fault.code === 'StoreUnavailable') throw error;
      if (fault.code === 'HostUnavailable') {
        await tell({ message: `waiting for host ${row.host_name}: ${fault.detail}`, percent: 0 });
        throw error;
      }
      if (fault.code === 'GuestUnavailable' && hasDetaching(row)) {
        // It may take until somebody unmounts it there. Meanwhile nothing has failed.
        await tell({ message: `waiting for the guest: ${fault.detail}`, percent: 0 });
        throw error;
      }
      deps.log.warn({ err: error, instance: row.id, host: this.#host.name }, 'the host cannot do it');
      this.#queue.wakeAfter(row.id, await recordFailed(this.#context, row, fault));
      return undefined;
    } finally {
      await progress.end();
    }
  }

  /** A host that lacks the image, a network or a key gets it, and is asked once more. */
  async #retryProvided<T>(
    error: unknown,
    row: InstanceRow,
    signal: AbortSignal,
    attempt: () => Promise<T>,
  ): Promise<T> {
    if (!(error instanceof VirgaError) || error.code !== 'NotFound') throw error;
    await this.#options.provide(row, signal);
    return attempt();
  }

  /** An agent throws errors of the registry; anything else is a mistake of ours, and the log has it. */
  #faultOf(error: unknown): VirgaError {
    const known = storeError(error);
    if (known instanceof VirgaError) return known;
    return new VirgaError('Internal', {
      detail: `The agent of host ${this.#host.name} failed in a way that it should not.`,
      action: 'Read the log of the server, and report it.',
      cause: error,
    });
  }

  /** A converged instance against what its host shows. */
  async #compare(row: InstanceOrder, signal: AbortSignal): Promise<void> {
    let seen = this.#sight.get(row.id);
    if (!seen) return;
    const first = judge(row, seen);
    const waitMs = (row.retry_at?.getTime() ?? 0) - this.#context.deps.clock.now().getTime();
    if (first === 'repair' && waitMs > 0) {
      await recordObserved(this.#context, this.#host.id, seen);
      return this.#queue.wakeAfter(row.id, waitMs);
    }
    if (first !== 'none') {
      // An event may be late and tell of what was before the last change: what is acted on is what is so now.
      const askedAt = this.#sight.moment;
      seen = await this.#sight.lookNow(row.id);
      this.#sight.answered(row.id, seen, askedAt);
    }
    await recordObserved(this.#context, this.#host.id, seen);
    if (row.surplus_vcpus + row.surplus_memory_mib > 0) await recordGivenBack(this.#context, row, seen);
    const deviated = judge(row, seen);
    switch (deviated) {
      case 'adopt-stop':
        await adoptStop(this.#context, row, seen);
        return this.#goOnAdopted(row);
      case 'adopt-start':
        if (await adoptStart(this.#context, row, seen)) return this.#goOnAdopted(row);
        return this.wake(row.id);
      case 'adopt-pause':
      case 'adopt-resume':
      case 'adopt-hibernate':
      case 'adopt-loss':
        await adoptPower(this.#context, row, deviated, seen);
        return this.#goOnAdopted(row);
      case 'repair':
        return this.#repair(row, seen, signal);
      case 'none':
        if (row.failure) await forgetFailure(this.#context, row);
        if (row.generation !== row.converged_generation) this.wake(row.id);
    }
  }

  #goOnAdopted({ id, generation }: InstanceRow): void {
    this.#adopted.set(id, generation + 1);
    this.wake(id);
  }

  async #repair(row: InstanceOrder, seen: ObservedInstance, signal: AbortSignal): Promise<void> {
    await beginRepair(this.#context, row, seen);
    if (!(await this.#apply(row, signal))) return;
    const now = this.#sight.get(row.id);
    if (now && judge(row, now) === 'none') return recordRepaired(this.#context, row, seen);
    // It goes on once there is room, which is tried ever less often; or more has been lost than could be repaired.
    if (now && (now.reason === 'storage-full' || judge(row, now) !== 'repair')) return this.wake(row.id);
    const fault = new VirgaError('HypervisorRefused', {
      detail: `Instance ${row.name} lacks a file on host ${this.#host.name} that cannot be made again.`,
      action: 'Bring the file back, or delete the instance.',
    });
    this.#queue.wakeAfter(row.id, await recordFailed(this.#context, row, fault));
  }

  async #reap(id: InstanceId, signal: AbortSignal): Promise<void> {
    const isThere = (seen: ObservedInstance | undefined) => seen && (seen.state !== 'absent' || seen.leftovers);
    if (isThere(this.#sight.get(id))) {
      const seen = await this.#sight.lookNow(id);
      if (isThere(seen)) await reapInstance(this.#context, this.#host, seen, signal);
    }
    this.#forget(id);
  }
}

type Judged = { desired: DesiredState; crash_policy: CrashPolicy; domain_name: string };

const judge = (row: Judged, seen: ObservedInstance): Deviation =>
  row.desired === 'deleted' ? 'none' : deviation(row.desired, seen, row.crash_policy, row.domain_name);
