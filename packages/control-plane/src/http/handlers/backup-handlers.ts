// Handlers of backup stores and backups: nothing but the way from a request to the operations of their module.
import type { backupStoreRoutes } from '@virga/contract/rest/backup-stores';
import type { backupRoutes } from '@virga/contract/rest/backups';
import { openBackup, readBackupFile } from '../../modules/backups/backup-files.ts';
import {
  createBackup,
  deleteBackup,
  getBackup,
  listBackups,
  mergeBackup,
  verifyBackup,
} from '../../modules/backups/backup-operations.ts';
import { restoreBackup } from '../../modules/backups/restore-operations.ts';
import {
  createBackupSchedule,
  deleteBackupSchedule,
  listBackupSchedules,
} from '../../modules/backups/schedule-operations.ts';
import {
  checkBackupStore,
  createBackupStore,
  deleteBackupStore,
  getBackupStore,
  getBackupStoreKey,
  importBackupStore,
  listBackupStores,
} from '../../modules/backups/store-operations.ts';
import type { FrontDeps, Handlers } from '../handler.ts';

export function backupHandlers(
  deps: FrontDeps,
): Pick<Handlers, keyof typeof backupStoreRoutes | keyof typeof backupRoutes> {
  const { db } = deps;
  return {
    listBackupStores: ({ access, query }) => listBackupStores(db, access, query),
    getBackupStore: ({ access, params }) => getBackupStore(db, access, params.id),
    createBackupStore: ({ access, body, idempotency }) => createBackupStore(deps, access, body, idempotency),
    checkBackupStore: ({ access, params, body }) => checkBackupStore(deps, access, params.id, body),
    importBackupStore: ({ access, params }) => importBackupStore(deps, access, params.id),
    getBackupStoreKey: ({ access, params }) => getBackupStoreKey(deps, access, params.id),
    deleteBackupStore: ({ access, params }) => deleteBackupStore(deps, access, params.id),
    listBackups: ({ access, query }) => listBackups(db, access, query),
    getBackup: ({ access, params }) => getBackup(db, access, params.id),
    createBackup: ({ access, body, idempotency }) => createBackup(deps, access, body, idempotency),
    deleteBackup: ({ access, params }) => deleteBackup(deps, access, params.id),
    mergeBackup: ({ access, params }) => mergeBackup(deps, access, params.id),
    verifyBackup: ({ access, params, body }) => verifyBackup(deps, access, params.id, body),
    restoreBackup: ({ access, params, body }) => restoreBackup(deps, access, params.id, body),
    openBackup: ({ access, params }) => openBackup(deps, access, params.id),
    readBackupFile: ({ access, params, query, signal }) => readBackupFile(deps, access, params.id, query, signal),
    listBackupSchedules: ({ access, query }) => listBackupSchedules(db, access, query),
    createBackupSchedule: ({ access, body }) => createBackupSchedule(deps, access, body),
    deleteBackupSchedule: ({ access, params }) => deleteBackupSchedule(deps, access, params.id),
  };
}
