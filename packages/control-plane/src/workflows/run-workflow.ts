// Runs one leased workflow from where it stands: forward through its steps, or, once one has failed for good, backward
// through their undos. Where it stands is in the database after every step, so anybody can go on from there.
import { fromProblem, VirgaError } from '@virga/contract/errors';
import type { SystemAccess } from '../access/authorizer.ts';
import type { Deps } from '../deps.ts';
import { appendEvent } from '../events/event-log.ts';
import { endOperation } from '../modules/operations/operation-store.ts';
import { OperationProgress } from '../reconcile/operation-progress.ts';
import { inTransaction, storeError } from '../store/database.ts';
import { notify } from '../store/notifications.ts';
import type { Step, StepContext, Workflow } from './workflow.ts';
import { type LeasedOperation, LeaseLost, updateLeased } from './workflow-lease.ts';

export type Run = { deps: Deps; access: SystemAccess; leaseMs: number; signal: AbortSignal };

/** The error is over by itself some time: the same step is tried again later. */
export class TryAgainLater extends Error {}

/** @throws TryAgainLater | LeaseLost */
export async function runWorkflow(run: Run, workflow: Workflow, operation: LeasedOperation): Promise<void> {
  const context = { deps: run.deps, access: run.access, input: operation.input ?? {} };
  let { step, failure } = operation;
  while (failure === null && step < workflow.steps.length) {
    const error = await forward(run, workflow, operation, context, step);
    if (error) {
      run.deps.log.warn({ err: error, operation: operation.id, kind: operation.kind, step }, 'a workflow is undone');
      failure = { code: error.code, detail: error.detail, action: error.action };
      await updateLeased(run.deps.db, operation, { failure: JSON.stringify(failure) }, run.leaseMs);
    } else step += 1;
  }
  if (failure === null) return end(run, workflow, operation, context, undefined);
  // The failed step is undone too: it may have got half way.
  for (; step >= 0; step--) await backward(run, workflow, operation, context, step);
  await end(run, workflow, operation, context, fromProblem(failure));
}

async function forward(
  run: Run,
  { steps }: Workflow,
  operation: LeasedOperation,
  context: StepContext<Record<string, unknown>>,
  index: number,
): Promise<VirgaError | undefined> {
  const step = steps[index]!;
  try {
    const result = await act(run, operation, steps, index, step.message, (acting) =>
      step.act?.({ ...context, ...acting }),
    );
    await inTransaction(run.deps.db, async (tx) => {
      const isFirst = operation.started_at === null && index === 0;
      const started = isFirst ? { started_at: run.deps.clock.now() } : {};
      await updateLeased(tx, operation, { step: index + 1, state: 'running', ...started }, run.leaseMs);
      await step.record?.(tx, context, result);
    });
    return undefined;
  } catch (error) {
    return permanentFault(run, error, operation.created_at);
  }
}

async function backward(
  run: Run,
  { steps }: Workflow,
  operation: LeasedOperation,
  context: StepContext<Record<string, unknown>>,
  index: number,
): Promise<void> {
  const step: Step<Record<string, unknown>> | undefined = steps[index];
  try {
    if (step?.undo)
      await act(run, operation, steps, index, 'undoing', (acting) => step.undo!({ ...context, ...acting }));
    await inTransaction(run.deps.db, async (tx) => {
      await updateLeased(tx, operation, { step: index - 1 }, run.leaseMs);
      await step?.unrecord?.(tx, context);
    });
  } catch (error) {
    throw new TryAgainLater(`undoing failed: ${permanentFault(run, error).detail}`, { cause: error });
  }
}

/** What is over by itself some time. */
const passing: readonly VirgaError['code'][] = ['HostUnavailable', 'StoreUnavailable', 'BackupStoreUnavailable'];

/** For so long a backup store may be away. Of the others nothing can be done without what is away. */
const patienceMs = 24 * 3_600_000;

/** What failed for good. @throws what may be over by itself, or is no failure of the step */
function permanentFault({ signal, deps }: Run, error: unknown, since?: Date): VirgaError {
  if (signal.aborted || error instanceof LeaseLost) throw error;
  const known = storeError(error);
  if (!(known instanceof VirgaError)) {
    return new VirgaError('Internal', {
      detail: 'A step failed in a way that it should not.',
      action: 'Read the log of the server, and report it.',
      cause: error,
    });
  }
  if (!passing.includes(known.code)) return known;
  const waitedMs = since === undefined ? 0 : deps.clock.now().getTime() - since.getTime();
  if (known.code !== 'BackupStoreUnavailable' || waitedMs < patienceMs)
    throw new TryAgainLater(known.detail, { cause: error });
  const { detail } = known;
  return new VirgaError('OperationFailed', { detail, action: 'Bring the store back, and try again.', cause: error });
}

const weightOf = (steps: Workflow['steps']): number => steps.reduce((sum, { weight = 1 }) => sum + weight, 0);

/** Runs a step, telling its progress and keeping the lease meanwhile. */
async function act<T>(
  run: Run,
  operation: LeasedOperation,
  steps: Workflow['steps'],
  index: number,
  message: string,
  work: (acting: {
    signal: AbortSignal;
    onProgress: (message: string, percent: number) => void;
  }) => Promise<T> | undefined,
): Promise<T | undefined> {
  const { deps, leaseMs } = run;
  const lost = new AbortController();
  const total = weightOf(steps);
  const [before, share] = [weightOf(steps.slice(0, index)), weightOf(steps.slice(index, index + 1))];
  const progress = new OperationProgress(async (now) => {
    const percent = Math.min(99, Math.floor((100 * before + share * now.percent) / total));
    await updateLeased(
      deps.db,
      operation,
      { state: 'running', message: now.message, progress_percent: percent },
      leaseMs,
    );
    await notify(deps.db, 'operations', operation.id);
  });
  progress.report(message, 0);
  const heartbeat = setInterval(() => {
    updateLeased(deps.db, operation, {}, leaseMs).catch((error) => lost.abort(error));
  }, leaseMs / 3).unref();
  try {
    return await work({ signal: AbortSignal.any([run.signal, lost.signal]), onProgress: progress.report });
  } finally {
    clearInterval(heartbeat);
    await progress.end();
  }
}

async function end(
  run: Run,
  workflow: Workflow,
  operation: LeasedOperation,
  context: StepContext<Record<string, unknown>>,
  error: VirgaError | undefined,
): Promise<void> {
  const { deps, access, leaseMs } = run;
  await inTransaction(deps.db, async (tx) => {
    await updateLeased(tx, operation, {}, leaseMs);
    if (error) await workflow.failed?.(tx, context, error);
    await endOperation(tx, access, operation.id, { error }, deps.clock.now());
    await appendEvent(tx, access, {
      type: `${operation.kind}-${error ? 'failed' : 'succeeded'}`,
      projectId: operation.project_id,
      resourceId: operation.resource_id,
      resourceName: operation.resource_name,
      message: `${operation.kind} of ${operation.resource_name} ${error ? `failed: ${error.detail}` : 'succeeded.'}`,
    });
  });
}
