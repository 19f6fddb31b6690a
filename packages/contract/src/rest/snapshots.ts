// Snapshots of instances, schedules that take them, and instances cloned from others.
import { type Static, Type } from 'typebox';
import { MachineState, SnapshotConsistency } from '../agent/snapshots.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, Name, Nothing, Nullable, Page, pageQuery, Time } from './shared.ts';

export const Snapshot = Type.Object(
  {
    id: IdSchema('snapshot'),
    projectId: IdSchema('project'),
    name: Name,
    instanceId: IdSchema('instance'),
    instanceName: Name,
    state: Type.Union([
      Type.Literal('creating'),
      Type.Literal('available'),
      Type.Literal('deleting', { description: 'what only it needed is being merged' }),
      Type.Literal('error', { description: 'cannot be used; see stateReason' }),
    ]),
    stateReason: Nullable(Type.String()),
    memory: Type.Boolean({ description: 'it has what the guest had in memory, and goes on from there' }),
    consistency: Nullable(SnapshotConsistency),
    disks: Type.Array(
      Type.Object({
        id: IdSchema('volume'),
        sizeBytes: Type.Integer(),
        target: Type.Optional(Type.String({ description: 'its place in the guest then, such as vdc' })),
      }),
      { description: 'the root disk first' },
    ),
    machineState: Type.Array(MachineState, { description: 'what it keeps of the machine beside the disks' }),
    protected: Type.Boolean({ description: 'neither a schedule nor a deletion of the instance takes it away' }),
    scheduleId: Nullable(IdSchema('schedule')),
    clones: Type.Array(Name, { description: 'instances whose disks rest on it' }),
    takenAt: Nullable(Time),
    createdAt: Time,
  },
  { $id: 'Snapshot' },
);
export type Snapshot = Static<typeof Snapshot>;

const memory = Type.Optional(
  Type.Boolean({ description: 'also what the guest has in memory; it must be on; default false' }),
);

export const CreateSnapshot = Type.Object(
  {
    instance: Type.String({ minLength: 1, maxLength: 64, description: 'id or name' }),
    name: Type.Optional(Name),
    memory,
    protected: Type.Optional(Type.Boolean()),
  },
  { $id: 'CreateSnapshot', additionalProperties: false },
);
export type CreateSnapshot = Static<typeof CreateSnapshot>;

export const RevertSnapshot = Type.Object(
  {
    restart: Type.Optional(
      Type.Boolean({ description: 'stop the instance for it when it is on, and start it again; default false' }),
    ),
    keepCurrent: Type.Optional(
      Type.Boolean({ description: 'take a snapshot of how it is now first; default false: that is lost' }),
    ),
  },
  { additionalProperties: false },
);
export type RevertSnapshot = Static<typeof RevertSnapshot>;

export const maxKept = 500;

export const SnapshotSchedule = Type.Object(
  {
    id: IdSchema('schedule'),
    instanceId: IdSchema('instance'),
    instanceName: Name,
    cron: Type.String(),
    timeZone: Type.String(),
    keep: Type.Integer({ description: 'so many of its snapshots stay; protected ones are not counted' }),
    memory: Type.Boolean(),
    nextRunAt: Time,
    createdBy: Type.String(),
    createdAt: Time,
  },
  { $id: 'SnapshotSchedule' },
);
export type SnapshotSchedule = Static<typeof SnapshotSchedule>;

export const CreateSnapshotSchedule = Type.Object(
  {
    cron: Type.String({ minLength: 1, maxLength: 200, description: 'minute, hour, day, month, day of the week' }),
    timeZone: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'default UTC' })),
    keep: Type.Integer({ minimum: 1, maximum: maxKept }),
    memory,
  },
  { $id: 'CreateSnapshotSchedule', additionalProperties: false },
);
export type CreateSnapshotSchedule = Static<typeof CreateSnapshotSchedule>;

export const CloneInstance = Type.Object(
  {
    name: Name,
    full: Type.Optional(
      Type.Boolean({
        description: 'a copy of the root disk that needs nothing else; default it rests on the original',
      }),
    ),
    volumes: Type.Optional(
      Type.Boolean({ description: 'also copies of its volumes, of the same moment, at the same places; default true' }),
    ),
    snapshot: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: 'id or name; default of how the instance is now' }),
    ),
    start: Type.Optional(Type.Boolean({ description: 'default true' })),
  },
  { $id: 'CloneInstance', additionalProperties: false },
);
export type CloneInstance = Static<typeof CloneInstance>;

const change = {
  access: { scope: 'project', role: 'operator' },
  ok: Type.Object({ snapshot: Snapshot, operationId: IdSchema('operation') }),
  status: 202,
} as const;

export const snapshotRoutes = {
  listSnapshots: route({
    method: 'GET',
    path: '/v1/snapshots',
    summary: 'List snapshots',
    access: { scope: 'project', role: 'viewer' },
    query: Type.Object({
      ...pageQuery,
      name: Type.Optional(Type.String({ maxLength: 63 })),
      instanceId: Type.Optional(IdSchema('instance')),
    }),
    ok: Page(Snapshot),
  }),
  getSnapshot: route({
    method: 'GET',
    path: '/v1/snapshots/{id}',
    summary: 'Show a snapshot',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('snapshot'),
    ok: Snapshot,
  }),
  createSnapshot: route({
    ...change,
    method: 'POST',
    path: '/v1/snapshots',
    summary: 'Take a snapshot of all disks of an instance at one moment, while it runs or not',
    body: CreateSnapshot,
  }),
  protectSnapshot: route({
    method: 'POST',
    path: '/v1/snapshots/{id}/protect',
    summary: 'Protect a snapshot from schedules and from the deletion of its instance, or no longer',
    access: { scope: 'project', role: 'operator' },
    params: idParams('snapshot'),
    body: Type.Object({ protected: Type.Boolean() }, { additionalProperties: false }),
    ok: Snapshot,
  }),
  revertSnapshot: route({
    ...change,
    method: 'POST',
    path: '/v1/snapshots/{id}/revert',
    summary: 'Put an instance back to what a snapshot keeps; what was written since is lost',
    params: idParams('snapshot'),
    body: RevertSnapshot,
  }),
  deleteSnapshot: route({
    ...change,
    method: 'DELETE',
    path: '/v1/snapshots/{id}',
    summary: 'Delete a snapshot, and merge what only it needed, also while the instance runs',
    params: idParams('snapshot'),
  }),
  cancelSnapshotDeletion: route({
    ...change,
    method: 'POST',
    path: '/v1/snapshots/{id}/cancel-deletion',
    summary:
      'Cancel the deletion of a snapshot; where its merging has begun it goes all the same, and the rest is left for the next',
    params: idParams('snapshot'),
  }),
  listSnapshotSchedules: route({
    method: 'GET',
    path: '/v1/instances/{id}/snapshot-schedules',
    summary: 'List the schedules that take snapshots of an instance',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('instance'),
    query: Type.Object(pageQuery),
    ok: Page(SnapshotSchedule),
  }),
  createSnapshotSchedule: route({
    method: 'POST',
    path: '/v1/instances/{id}/snapshot-schedules',
    summary: 'Take snapshots of an instance by the clock, and keep only the latest of them',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    body: CreateSnapshotSchedule,
    ok: SnapshotSchedule,
    status: 201,
  }),
  deleteSnapshotSchedule: route({
    method: 'DELETE',
    path: '/v1/instances/{id}/snapshot-schedules/{scheduleId}',
    summary: 'Delete a schedule of snapshots; those that it has taken stay',
    access: { scope: 'project', role: 'operator' },
    params: Type.Object({ id: IdSchema('instance'), scheduleId: IdSchema('schedule') }),
    ok: Nothing,
  }),
  cloneInstance: route({
    method: 'POST',
    path: '/v1/instances/{id}/clone',
    summary: 'Make another instance of the disks of one, with a name, addresses and an identity of its own',
    access: { scope: 'project', role: 'operator' },
    params: idParams('instance'),
    body: CloneInstance,
    ok: Type.Object({ instanceId: IdSchema('instance'), operationId: IdSchema('operation') }),
    status: 202,
  }),
};
