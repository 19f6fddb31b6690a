// Snapshots of instances, schedules that take them, and clones.
import type { snapshotRoutes } from '@virga/contract/rest/snapshots';
import { cloneInstance } from '../../modules/snapshots/clone-operations.ts';
import { revertSnapshot } from '../../modules/snapshots/revert-operations.ts';
import {
  cancelSnapshotDeletion,
  createSnapshot,
  deleteSnapshot,
  getSnapshot,
  listSnapshots,
  protectSnapshot,
} from '../../modules/snapshots/snapshot-operations.ts';
import {
  createSnapshotSchedule,
  deleteSnapshotSchedule,
  listSnapshotSchedules,
} from '../../modules/snapshots/snapshot-schedules.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function snapshotHandlers(deps: FrontDeps): Pick<Handlers, keyof typeof snapshotRoutes> {
  const { db } = deps;
  return {
    listSnapshots: ({ access, query }) => listSnapshots(db, access, query),
    getSnapshot: ({ access, params }) => getSnapshot(db, access, params.id),
    createSnapshot: ({ access, body, idempotency }) => createSnapshot(deps, access, body, idempotency),
    protectSnapshot: ({ access, params, body }) => protectSnapshot(deps, access, params.id, body.protected),
    revertSnapshot: ({ access, params, body }) => revertSnapshot(deps, access, params.id, body),
    deleteSnapshot: ({ access, params }) => deleteSnapshot(deps, access, params.id),
    cancelSnapshotDeletion: ({ access, params }) => cancelSnapshotDeletion(deps, access, params.id),
    listSnapshotSchedules: ({ access, params, query }) => listSnapshotSchedules(db, access, params.id, query),
    createSnapshotSchedule: ({ access, params, body }) => createSnapshotSchedule(deps, access, params.id, body),
    async deleteSnapshotSchedule({ access, params }) {
      await deleteSnapshotSchedule(deps, access, params.id, params.scheduleId);
      return {};
    },
    cloneInstance: ({ access, params, body, idempotency }) => cloneInstance(deps, access, params.id, body, idempotency),
  };
}
