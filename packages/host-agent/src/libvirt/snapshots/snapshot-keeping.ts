// Snapshots and clones as the contract has them; each act is its own file's.
import type { SnapshotKeeping } from '@virga/contract/agent/snapshots';
import type { AgentContext } from '../agent-context.ts';
import { cancelDeletion } from './cancel-deletion.ts';
import { deleteSnapshot } from './delete-snapshot.ts';
import { makeClone } from './make-clone.ts';
import { listSnapshots } from './observed-snapshot.ts';
import { revertSnapshot } from './revert-snapshot.ts';
import { takeSnapshot } from './take-snapshot.ts';

export const snapshotKeeping = (context: AgentContext): SnapshotKeeping => ({
  applySnapshot: (desired, call = {}) => takeSnapshot(context, desired, call),
  revertSnapshot: (snapshot, call = {}) => revertSnapshot(context, snapshot, call),
  deleteSnapshot: (snapshot, call = {}) => deleteSnapshot(context, snapshot, call),
  cancelDeletion: (snapshot) => cancelDeletion(context, snapshot),
  listSnapshots: (cloudId) => listSnapshots(context, cloudId),
  makeClone: (clone, call = {}) => makeClone(context, clone, call),
});
