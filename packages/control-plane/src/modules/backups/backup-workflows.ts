// The workflows of the module, for the engine that runs them.
import { checkStore } from './check-store.workflow.ts';
import { deleteBackup } from './delete-backup.workflow.ts';
import { importStore } from './import-store.workflow.ts';
import { makeBackup } from './make-backup.workflow.ts';
import { mergeBackup } from './merge-backup.workflow.ts';
import { openBackup } from './open-backup.workflow.ts';
import { openStore } from './open-store.workflow.ts';
import { restoreBackup } from './restore-backup.workflow.ts';
import { restoreInPlace } from './restore-in-place.workflow.ts';
import { retainBackups } from './retain-backups.workflow.ts';
import { verifyBackup } from './verify-backup.workflow.ts';

export const backupWorkflows = [
  ...[openStore, importStore, checkStore, makeBackup, mergeBackup, deleteBackup],
  ...[openBackup, retainBackups, verifyBackup, restoreBackup, restoreInPlace],
];
