// Keeps one host tuned as its row says: brings it there, looks again and again whether somebody else has changed it, sets
// that right, and does it anew after a restart of the host. What the host refuses ends the operation, and the host goes on as
// it was. A host that is away is waited for.
import type { HostChange } from '@virga/contract/agent/host-changes';
import type { DesiredTuning } from '@virga/contract/agent/host-tuning';
import { VirgaError } from '@virga/contract/errors';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { KeyedQueue } from '../../reconcile/keyed-queue.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { failureOf } from '../../store/failure.ts';
import { notify } from '../../store/notifications.ts';
import { endOperation, progressOperation } from '../operations/operation-store.ts';
import { findTuning, openTunings, type TuningRow, tuningText } from './host-tuning-store.ts';

/** Of what was changed, how much an event tells. */
const toldAtMost = 20;

export class HostTuningReconciler {
  readonly #deps: Deps;
  readonly #access: SystemAccess;
  readonly #host: RegisteredHost;
  readonly #queue: KeyedQueue<'tuning'>;
  #bootId: string | null = null;
  #looked = Promise.withResolvers<void>();

  constructor(deps: Deps, access: SystemAccess, host: RegisteredHost) {
    this.#deps = deps;
    this.#access = access;
    this.#host = host;
    this.#queue = new KeyedQueue({
      concurrency: 1,
      work: (_, signal) => this.#look(signal),
      onError: (_, error) => deps.log.warn({ err: error, host: host.name }, 'tuning a host failed'),
    });
  }

  wake(): void {
    this.#queue.wake('tuning');
  }

  /** The host is there, since this boot. @returns when it was looked at, however that went */
  ready(bootId: string): Promise<void> {
    this.#bootId = bootId;
    this.wake();
    return this.#looked.promise;
  }

  async close(): Promise<void> {
    this.#looked.resolve();
    await this.#queue.close();
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { resolve } = this.#looked;
    try {
      await this.#bringOrKeep(signal);
    } finally {
      this.#looked = Promise.withResolvers();
      resolve();
    }
  }

  async #bringOrKeep(signal: AbortSignal): Promise<void> {
    const row = await findTuning(this.#deps.db, this.#host.id);
    if (row === undefined) return;
    if (row.generation !== row.converged_generation) await this.#bring(row, signal);
    else if (row.desired !== null) await this.#keep(row, row.desired, signal);
  }

  async #bring(row: TuningRow, signal: AbortSignal): Promise<void> {
    try {
      const { changes, notes } = await this.#host.agent.applyTuning(row.desired, { signal });
      await this.#reached(row, changes, notes);
    } catch (error) {
      if (!(error instanceof VirgaError) || signal.aborted) throw error;
      if (error.kind.retryable) {
        await this.#waiting(error);
        throw error;
      }
      await this.#refused(row, error);
    }
  }

  /** What is in force stays so. */
  async #keep(row: TuningRow, inForce: DesiredTuning, signal: AbortSignal): Promise<void> {
    try {
      const { changes } = await this.#host.agent.keepTuning(inForce, { signal });
      const isRestarted = this.#bootId !== null && row.boot_id !== this.#bootId;
      if (changes.length > 0 || isRestarted) await this.#kept(row, changes, isRestarted);
    } catch (error) {
      if (!(error instanceof VirgaError) || signal.aborted) throw error;
      // It is looked at again when it is back.
      if (error.kind.retryable) return;
      await this.#lost(row, error);
    }
  }

  async #reached(row: TuningRow, changes: HostChange[], notes: string[]): Promise<void> {
    const { db, clock } = this.#deps;
    const { name } = this.#host;
    const count = `${changes.length} ${changes.length === 1 ? 'place was' : 'places were'} changed`;
    await inTransaction(db, async (tx) => {
      if (!(await this.#hold(tx, row))) return;
      await tx
        .updateTable('host_tunings')
        .set({
          converged_generation: row.generation,
          settled: row.desired && JSON.stringify(row.desired),
          failure: null,
          boot_id: this.#bootId,
          applied_at: clock.now(),
        })
        .where('host_id', '=', row.host_id)
        .execute();
      const message = [`${count}.`, ...notes].join(' ');
      for (const id of await openTunings(tx, row.host_id)) {
        await endOperation(tx, this.#access, id, { message }, clock.now());
      }
      const [type, told] =
        row.desired === null
          ? ['host.untuned', `Tuning of host ${name} was taken back; ${count}.`]
          : ['host.tuned', `Host ${name} is tuned: ${tuningText(row.desired)}; ${count}.`];
      await notify(tx, 'keepsakes', row.host_id);
      await this.#tell(tx, type!, told!, changes);
    });
  }

  /** The host is as it was before, and that is what is desired again. */
  async #refused(row: TuningRow, error: VirgaError): Promise<void> {
    await inTransaction(this.#deps.db, async (tx) => {
      if (!(await this.#hold(tx, row))) return;
      await tx
        .updateTable('host_tunings')
        .set({
          converged_generation: row.generation,
          desired: row.settled && JSON.stringify(row.settled),
          failure: failureOf(error),
        })
        .where('host_id', '=', row.host_id)
        .execute();
      for (const id of await openTunings(tx, row.host_id)) {
        await endOperation(tx, this.#access, id, { error }, this.#deps.clock.now());
      }
      await notify(tx, 'keepsakes', row.host_id);
      await this.#tell(tx, 'host.tuning-failed', `Host ${this.#host.name} refused to be tuned: ${error.detail}`, []);
    });
  }

  async #kept(row: TuningRow, changes: HostChange[], isRestarted: boolean): Promise<void> {
    const { name } = this.#host;
    await inTransaction(this.#deps.db, async (tx) => {
      if (!(await this.#hold(tx, row))) return;
      await tx
        .updateTable('host_tunings')
        // Why a request was refused stays to be read.
        .set({ ...(changes.length > 0 && { failure: null }), boot_id: this.#bootId ?? row.boot_id })
        .where('host_id', '=', row.host_id)
        .execute();
      if (changes.length === 0) return;
      if (isRestarted) {
        const message = `Host ${name} was tuned anew after its restart, in ${changes.length} places.`;
        return this.#tell(tx, 'host.tuned', message, changes);
      }
      const places = changes.slice(0, 3).map(({ path, now, after }) => `${path} from ${brief(after)} to ${brief(now)}`);
      const more = changes.length > 3 ? ` and ${changes.length - 3} more` : '';
      const message = `Somebody else changed the tuning of host ${name}: ${places.join(', ')}${more}. It was set right.`;
      await this.#tell(tx, 'host.drifted', message, changes);
    });
  }

  /** The kernel does not give any more what is in force: told once, tried again at each look. */
  async #lost(row: TuningRow, error: VirgaError): Promise<void> {
    if (row.failure?.detail === error.detail) return;
    await inTransaction(this.#deps.db, async (tx) => {
      if (!(await this.#hold(tx, row))) return;
      const failure = failureOf(error);
      await tx.updateTable('host_tunings').set({ failure }).where('host_id', '=', row.host_id).execute();
      await this.#tell(tx, 'host.tuning-failed', `Host ${this.#host.name} cannot be kept tuned: ${error.detail}`, []);
    });
  }

  async #waiting(error: VirgaError): Promise<void> {
    const message = `waiting: ${error.detail}`;
    await inTransaction(this.#deps.db, async (tx) => {
      for (const id of await openTunings(tx, this.#host.id)) {
        await progressOperation(tx, this.#access, id, { message }, this.#deps.clock.now());
      }
    });
  }

  /** @returns whether this is what is desired still; nobody changes it until the transaction ends */
  async #hold(tx: Tx, { host_id, generation }: TuningRow): Promise<boolean> {
    const held = tx.selectFrom('host_tunings').select('generation').where('host_id', '=', host_id).forUpdate();
    const current = await held.executeTakeFirst();
    if (current?.generation === generation) return true;
    this.wake();
    return false;
  }

  async #tell(tx: Tx, type: string, message: string, changes: HostChange[]): Promise<void> {
    const places = changes.slice(0, toldAtMost).map(({ path, now, after }) => ({ path, now, after }));
    await appendEvent(tx, this.#access, {
      type,
      projectId: null,
      resourceId: this.#host.id,
      resourceName: this.#host.name,
      message,
      data: { changes: places },
    });
  }
}

/** A value as it is; a file in a word. */
const brief = (text: string | null): string => (text === null ? 'nothing' : text.includes('\n') ? 'ours' : text);
