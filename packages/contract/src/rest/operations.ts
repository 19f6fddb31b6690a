// Operations: what Virga does after it has answered. Every mutation that takes longer than its request has one.
import { type Static, Type } from 'typebox';
import { Problem } from '../errors.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, Nullable, Page, pageQuery, Time } from './shared.ts';

export const OperationState = Type.Union([
  Type.Literal('queued'),
  Type.Literal('running'),
  Type.Literal('succeeded'),
  Type.Literal('failed'),
]);
export type OperationState = Static<typeof OperationState>;

export const Operation = Type.Object(
  {
    id: IdSchema('operation'),
    kind: Type.String({ description: 'noun.verb, such as instance.launch' }),
    projectId: IdSchema('project'),
    resourceId: Type.String(),
    resourceName: Type.String(),
    state: OperationState,
    progressPercent: Type.Integer({ minimum: 0, maximum: 100 }),
    message: Type.String({ description: 'what is being done, or waited for, now' }),
    error: Nullable(Problem),
    requestedBy: Type.String(),
    createdAt: Time,
    startedAt: Nullable(Time),
    finishedAt: Nullable(Time),
  },
  { $id: 'Operation' },
);
export type Operation = Static<typeof Operation>;

export const operationRoutes = {
  listOperations: route({
    method: 'GET',
    path: '/v1/operations',
    summary: 'List operations, newest first',
    access: { scope: 'project', role: 'viewer' },
    query: Type.Object({
      ...pageQuery,
      state: Type.Optional(OperationState),
      resourceId: Type.Optional(Type.String({ maxLength: 64 })),
    }),
    ok: Page(Operation),
  }),
  getOperation: route({
    method: 'GET',
    path: '/v1/operations/{id}',
    summary: 'Show an operation, optionally after waiting for a change',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('operation'),
    query: Type.Object({
      waitSeconds: Type.Optional(
        Type.Integer({
          minimum: 0,
          maximum: 60,
          description: 'answer when it has changed, or after this long; an ended one at once',
        }),
      ),
    }),
    ok: Operation,
  }),
};
