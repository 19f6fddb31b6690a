// Backup stores, backups and their schedules as a server would answer them, and those answers, for tests of what is made of them.
import type { BackupStore } from '@virga/contract/rest/backup-stores';
import type { Backup, BackupSchedule } from '@virga/contract/rest/backups';

const createdAt = '2026-03-01T12:00:00.000Z';
const operationId = 'op-00000000000000001' as const;

const aBackupStore = (): BackupStore => ({
  id: 'bks-00000000000000001',
  name: 'main',
  place: { kind: 'directory', path: '/mnt/backup' },
  hostName: null,
  limitBytesPerSecond: 52_428_800,
  state: 'available',
  stateReason: null,
  backups: 12,
  sizeBytes: 42_949_672_960,
  checkedAt: '2026-03-01T13:00:00.000Z',
  createdAt,
});

export const aBackup = (fields: Partial<Backup> = {}): Backup => ({
  id: 'bak-00000000000000002',
  projectId: 'proj-00000000000000001',
  storeId: 'bks-00000000000000001',
  storeName: 'main',
  instanceId: 'i-00000000000000001',
  instanceName: 'web',
  scheduleId: 'sched-00000000000000001',
  state: 'available',
  parentId: 'bak-00000000000000001',
  fullReason: null,
  frozen: true,
  takenAt: createdAt,
  disks: [{ id: 'vol-00000000000000009', role: 'root', sizeBytes: 10_737_418_240, dataBytes: 8_388_608 }],
  addedBytes: 7_340_032,
  verified: {
    at: '2026-03-01T13:30:00.000Z',
    outcome: 'boots',
    detail: 'A machine of it booted: its guest agent answered after 41 s.',
  },
  openUntil: null,
  createdAt,
  ...fields,
});

const aFolder = () => ({
  kind: 'folder' as const,
  entries: [{ name: 'hostname', kind: 'file' as const, sizeBytes: 4 }],
});

const aBackupSchedule = (): BackupSchedule => ({
  id: 'sched-00000000000000001',
  instanceId: 'i-00000000000000001',
  instanceName: 'web',
  storeId: 'bks-00000000000000001',
  storeName: 'main',
  cron: '0 3 * * *',
  timeZone: 'UTC',
  retention: { last: 7, daily: 7, weekly: 4, monthly: 6 },
  chainLimit: 14,
  nextRunAt: '2026-03-02T03:00:00.000Z',
  createdBy: 'admin',
  createdAt,
});

const change = () => ({ backup: aBackup(), operationId });
const storeChange = () => ({ store: aBackupStore(), operationId });

/** Of every route of backup stores and backups. */
export const backupAnswers = {
  listBackupStores: () => ({ items: [aBackupStore()] }),
  getBackupStore: () => aBackupStore(),
  createBackupStore: storeChange,
  checkBackupStore: storeChange,
  importBackupStore: storeChange,
  getBackupStoreKey: () => ({ password: 'shown-when-asked' }),
  deleteBackupStore: () => ({}),
  listBackups: () => ({ items: [aBackup()] }),
  getBackup: () => aBackup(),
  createBackup: change,
  deleteBackup: change,
  mergeBackup: change,
  verifyBackup: change,
  restoreBackup: () => ({ ...change(), instanceId: 'i-00000000000000002' as const }),
  openBackup: change,
  readBackupFile: aFolder,
  listBackupSchedules: () => ({ items: [aBackupSchedule()] }),
  createBackupSchedule: () => aBackupSchedule(),
  deleteBackupSchedule: () => ({}),
};

const id = aBackup().id;

/** Each command of backup stores and backups, and what it prints as JSON. */
export const backupCommands = {
  'backups list': { argv: ['backups'], json: [aBackup()] },
  'backups show': { argv: ['backups', 'show', id], json: aBackup() },
  'backups create': { argv: ['backups', 'create', 'web'], json: change() },
  'backups restore': { argv: ['backups', 'restore', id, '--name', 'again'], json: change() },
  'backups verify': { argv: ['backups', 'verify', id], json: change() },
  'backups merge': { argv: ['backups', 'merge', id], json: change() },
  'backups delete': { argv: ['backups', 'delete', id, '--yes'], json: change() },
  'backups files': { argv: ['backups', 'files', id, '--path', '/etc', '--opened'], json: aFolder() },
  'backups schedule': {
    argv: ['backups', 'schedule', 'web', '--cron', '0 3 * * *', '--keep-last', '7'],
    json: aBackupSchedule(),
  },
  'backups schedules': { argv: ['backups', 'schedules'], json: [aBackupSchedule()] },
  'backups unschedule': {
    argv: ['backups', 'unschedule', 'sched-00000000000000001'],
    json: { id: 'sched-00000000000000001', removed: true },
  },
  'backup-stores list': { argv: ['backup-stores'], json: [aBackupStore()] },
  'backup-stores show': { argv: ['backup-stores', 'show', 'main'], json: aBackupStore() },
  'backup-stores create': {
    argv: ['backup-stores', 'create', 'main', '--path', '/mnt/backup'],
    json: storeChange(),
  },
  'backup-stores check': { argv: ['backup-stores', 'check', 'main'], json: storeChange() },
  'backup-stores import': { argv: ['backup-stores', 'import', 'main'], json: storeChange() },
  'backup-stores key': { argv: ['backup-stores', 'key', 'main'], json: { password: 'shown-when-asked' } },
  'backup-stores delete': {
    argv: ['backup-stores', 'delete', 'main', '--yes'],
    json: { id: aBackupStore().id, name: 'main', deleted: true },
  },
};
