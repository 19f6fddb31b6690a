// What a workflow is: a table of steps, each with what it does on hosts, what it writes down, and how to take that back.

import type { OnProgress } from '@virga/contract/agent/agent';
import type { VirgaError } from '@virga/contract/errors';
import type { OperationId, ProjectId } from '@virga/contract/ids';
import type { SystemAccess, WriteAccess } from '../access/authorizer.ts';
import type { Deps } from '../deps.ts';
import { createOperation } from '../modules/operations/operation-store.ts';
import type { Tx } from '../store/database.ts';
import { notify } from '../store/notifications.ts';

export type StepContext<Input> = { deps: Deps; access: SystemAccess; input: Input };
export type ActContext<Input> = StepContext<Input> & {
  /** Aborts when the engine ends, or when another engine has taken the workflow over. */
  signal: AbortSignal;
  /** Progress of this step, 0 to 100. */
  onProgress: OnProgress;
};

/**
 * `act` and `undo` work outside of the database. They may run twice, also when they were cut off half way, and `undo` may
 * run for an `act` that never began. `record` and `unrecord` run once, in the transaction that ends the step; `unrecord`
 * also for a `record` that never ran.
 */
export type Step<Input, Result = unknown> = {
  /** What is being done, for people. */
  message: string;
  /** Its share of the progress, over those of the others; default 1. */
  weight?: number;
  act?: (context: ActContext<Input>) => Promise<Result>;
  record?: (tx: Tx, context: StepContext<Input>, result: Result) => Promise<void>;
  undo?: (context: ActContext<Input>) => Promise<void>;
  unrecord?: (tx: Tx, context: StepContext<Input>) => Promise<void>;
};

export type Workflow<Input extends Record<string, unknown> = Record<string, unknown>> = {
  /** noun.verb, the kind of its operations. */
  kind: string;
  steps: readonly Step<Input>[];
  /** It moves much data, for minutes or hours. Such ones have places of their own, so that nothing short waits for them. */
  isLong?: true;
  /** Written with the end of a workflow that failed and has been undone. */
  failed?: (tx: Tx, context: StepContext<Input>, error: VirgaError) => Promise<void>;
};

/** Keeps the result of `act` and the argument of `record` of one type. */
export const step = <Input, Result = void>(definition: Step<Input, Result>): Step<Input> => definition as Step<Input>;

export const workflow = <Input extends Record<string, unknown>>(definition: Workflow<Input>): Workflow =>
  definition as unknown as Workflow;

/**
 * Writes down that a workflow is to run. It begins when the transaction has committed.
 * @param input `turn`: of all whose input has the same one runs at a time, so that those which would wait for each other take no
 *   places meanwhile
 */
export async function startWorkflow(
  tx: Tx,
  access: WriteAccess,
  kind: string,
  resource: { projectId: ProjectId; resourceId: string; resourceName: string },
  input: Record<string, unknown>,
): Promise<OperationId> {
  const id = await createOperation(tx, access, { kind, ...resource, input });
  await notify(tx, 'workflows', id);
  return id;
}
