// Workflows of snapshots and clones, for the engine.
import { cloneInstanceWorkflow } from './clone-instance.workflow.ts';
import { deleteSnapshotWorkflow } from './delete-snapshot.workflow.ts';
import { revertSnapshotWorkflow } from './revert-snapshot.workflow.ts';
import { takeSnapshotWorkflow } from './take-snapshot.workflow.ts';

export const snapshotWorkflows = [
  takeSnapshotWorkflow,
  deleteSnapshotWorkflow,
  revertSnapshotWorkflow,
  cloneInstanceWorkflow,
];
