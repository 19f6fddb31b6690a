// Snapshots and their schedules as a server would answer them, and those answers, for tests of what is made of them.
import type { Snapshot, SnapshotSchedule } from '@virga/contract/rest/snapshots';

const createdAt = '2026-03-01T12:00:00.000Z';
const instanceId = 'i-00000000000000001';
const operationId = 'op-00000000000000001';

const aSnapshot = (fields: Partial<Snapshot> = {}): Snapshot => ({
  id: 'snap-00000000000000001',
  projectId: 'proj-00000000000000001',
  name: 'before',
  instanceId,
  instanceName: 'web',
  state: 'available',
  stateReason: null,
  memory: false,
  consistency: 'filesystem',
  disks: [{ id: 'vol-00000000000000009', target: 'vda', sizeBytes: 1_073_741_824 }],
  machineState: ['uefi-variables', 'tpm'],
  protected: false,
  scheduleId: null,
  clones: [],
  takenAt: createdAt,
  createdAt,
  ...fields,
});

const aSnapshotSchedule = (): SnapshotSchedule => ({
  id: 'sched-00000000000000002',
  instanceId,
  instanceName: 'web',
  cron: '0 * * * *',
  timeZone: 'UTC',
  keep: 24,
  memory: false,
  nextRunAt: '2026-03-01T15:00:00.000Z',
  createdBy: 'admin',
  createdAt,
});

const changed = { snapshot: aSnapshot(), operationId } as const;

export const snapshotAnswers = {
  listSnapshots: () => ({ items: [aSnapshot()] }),
  getSnapshot: () => aSnapshot(),
  createSnapshot: () => changed,
  protectSnapshot: () => aSnapshot({ protected: true }),
  revertSnapshot: () => changed,
  deleteSnapshot: () => changed,
  cancelSnapshotDeletion: () => changed,
  listSnapshotSchedules: () => ({ items: [aSnapshotSchedule()] }),
  createSnapshotSchedule: () => aSnapshotSchedule(),
  deleteSnapshotSchedule: () => ({}),
  cloneInstance: () => ({ instanceId, operationId }) as const,
};

/** Each command of snapshots, and what it prints as JSON. */
export const snapshotCommands = {
  clone: { argv: ['clone', 'web', 'web-test'], json: { instance: { id: instanceId }, operationId } },
  'snapshots list': { argv: ['snapshots', 'list', '--instance', 'web'], json: [aSnapshot()] },
  'snapshots show': { argv: ['snapshots', 'show', 'before'], json: aSnapshot() },
  'snapshots create': { argv: ['snapshots', 'create', 'web', '--name', 'before'], json: changed },
  'snapshots revert': { argv: ['snapshots', 'revert', 'before', '--restart', '--yes'], json: changed },
  'snapshots protect': { argv: ['snapshots', 'protect', 'before'], json: aSnapshot({ protected: true }) },
  'snapshots delete': {
    argv: ['snapshots', 'delete', 'before', '--yes'],
    json: [{ name: 'before', ...changed }],
  },
  'snapshots cancel-deletion': { argv: ['snapshots', 'cancel-deletion', 'before'], json: changed },
  'snapshots schedule': {
    argv: ['snapshots', 'schedule', 'web', '--cron', '0 * * * *', '--keep', '24'],
    json: aSnapshotSchedule(),
  },
  'snapshots schedules': { argv: ['snapshots', 'schedules', 'web'], json: [aSnapshotSchedule()] },
  'snapshots unschedule': {
    argv: ['snapshots', 'unschedule', 'web', 'sched-00000000000000002'],
    json: { id: 'sched-00000000000000002', removed: true },
  },
};
