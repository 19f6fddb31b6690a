// Takes workflows that nobody works on, and runs them. A crash loses nothing: the lease of what it was working on runs out,
// or the next engine takes it over, and goes on with the step that had not ended. A step may run twice, a record never.
import { randomUUID } from 'node:crypto';
import type { OperationId } from '@virga/contract/ids';
import type { SystemAccess } from '../access/authorizer.ts';
import type { Deps } from '../deps.ts';
import { progressOperation } from '../modules/operations/operation-store.ts';
import { backOffMs } from '../reconcile/back-off.ts';
import { runWorkflow, TryAgainLater } from './run-workflow.ts';
import type { Workflow } from './workflow.ts';
import {
  giveBack,
  type KindFilter,
  type LeasedOperation,
  LeaseLost,
  nextLeaseMs,
  takeLeases,
  takeOverLeases,
  tellQueue,
} from './workflow-lease.ts';

export type WorkflowEngineOptions = {
  deps: Deps;
  access: SystemAccess;
  workflows: readonly Workflow[];
  /** How many run at once, of those that take long and of the others. */
  concurrency?: number;
  leaseMs?: number;
  /** Take at once what earlier engines held, instead of waiting until their leases end. Only for the one active engine. */
  isAlone?: boolean;
};

export class WorkflowEngine {
  readonly #options: Required<WorkflowEngineOptions>;
  readonly #workflows: ReadonlyMap<string, Workflow>;
  readonly #owner = randomUUID();
  readonly #ending = new AbortController();
  readonly #running = new Map<OperationId, { kind: string; ended: Promise<void> }>();
  readonly #failures = new Map<OperationId, number>();
  #taking: Promise<void> | undefined;
  #isWokenAgain = false;
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe = () => {};

  constructor(options: WorkflowEngineOptions) {
    this.#options = { concurrency: 4, leaseMs: 30_000, isAlone: false, ...options };
    this.#workflows = new Map(options.workflows.map((workflow) => [workflow.kind, workflow]));
  }

  async start(): Promise<void> {
    const { deps, isAlone } = this.#options;
    this.#unsubscribe = deps.notifications.subscribe('workflows', () => this.wake());
    if (isAlone) await takeOverLeases(deps.db);
    this.wake();
  }

  /** Looks for workflows that can be taken. */
  wake(): void {
    if (this.#ending.signal.aborted) return;
    this.#isWokenAgain = this.#taking !== undefined;
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined;
      if (this.#isWokenAgain) this.wake();
    });
  }

  /** Takes on nothing more, cuts off what is under way at the next point where that is safe, and gives it back. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#unsubscribe();
    clearTimeout(this.#timer);
    await this.#taking;
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  async #take(): Promise<void> {
    const { deps, concurrency, leaseMs } = this.#options;
    try {
      let nextMs = leaseMs;
      for (const [filter, running] of this.#classes()) {
        // Who ends makes room, and wakes.
        if (running < concurrency) {
          for (const operation of await takeLeases(deps.db, this.#owner, concurrency - running, leaseMs, filter)) {
            this.#begin(operation);
          }
        }
        if (filter.op === 'in') await tellQueue(deps.db, filter);
        if (running >= concurrency) continue;
        nextMs = Math.min(nextMs, (await nextLeaseMs(deps.db, filter)) ?? leaseMs);
      }
      this.#wakeAfter(nextMs);
    } catch (error) {
      deps.log.warn({ err: error }, 'workflows cannot be read');
      this.#wakeAfter(backOffMs(1));
    }
  }

  /** What takes long and what does not, one not known among these, with how many of them run. */
  #classes(): [KindFilter, number][] {
    const kinds = [...this.#workflows.values()].filter(({ isLong }) => isLong).map(({ kind }) => kind);
    const running = [...this.#running.values()];
    const long = running.filter(({ kind }) => kinds.includes(kind)).length;
    return [
      [{ op: 'not in', kinds }, running.length - long],
      [{ op: 'in', kinds }, long],
    ];
  }

  #begin(operation: LeasedOperation): void {
    const ended = this.#run(operation).finally(() => {
      this.#running.delete(operation.id);
      this.wake();
    });
    this.#running.set(operation.id, { kind: operation.kind, ended });
  }

  async #run(operation: LeasedOperation): Promise<void> {
    const { deps, access, leaseMs } = this.#options;
    const { signal } = this.#ending;
    const workflow = this.#workflows.get(operation.kind);
    try {
      if (signal.aborted) return await giveBack(deps.db, operation, 0);
      // A newer Virga has started it; one that knows it will take it.
      if (!workflow) return await giveBack(deps.db, operation, leaseMs);
      await runWorkflow({ deps, access, leaseMs, signal }, workflow, operation);
      this.#failures.delete(operation.id);
    } catch (error) {
      await this.#putOff(operation, error).catch((cause) =>
        deps.log.warn({ err: cause }, 'a lease was left to run out'),
      );
    }
  }

  async #putOff(operation: LeasedOperation, error: unknown): Promise<void> {
    const { deps, access } = this.#options;
    if (error instanceof LeaseLost) return;
    if (this.#ending.signal.aborted) return giveBack(deps.db, operation, 0);
    const failures = (this.#failures.get(operation.id) ?? 0) + 1;
    this.#failures.set(operation.id, failures);
    deps.log.warn({ err: error, operation: operation.id, kind: operation.kind }, 'a workflow is put off');
    if (error instanceof TryAgainLater) {
      await progressOperation(
        deps.db,
        access,
        operation.id,
        { message: `waiting: ${error.message}` },
        deps.clock.now(),
      );
    }
    await giveBack(deps.db, operation, Math.min(30_000, backOffMs(failures)));
  }

  #wakeAfter(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#ending.signal.aborted) return;
    this.#timer = setTimeout(() => this.wake(), Math.max(20, Math.min(ms, this.#options.leaseMs)));
  }
}
