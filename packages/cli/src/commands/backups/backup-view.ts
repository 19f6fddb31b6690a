// How backups are shown to people.
import type { Backup, BackupSchedule, Retention } from '@virga/contract/rest/backups';
import { formatAge, formatBytes, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';
import { formatNextRun } from '../by-the-clock.ts';

const kindOf = ({ state, fullReason }: Backup): string =>
  state === 'pending' ? '-' : fullReason === null ? 'incremental' : 'full';
const readBytes = ({ disks }: Backup): number => disks.reduce((sum, { dataBytes }) => sum + dataBytes, 0);

export const backupColumns = (nowMs: number): Column<Backup>[] => [
  { header: 'ID', value: (item) => item.id, essential: true },
  { header: 'INSTANCE', value: (item) => item.instanceName, essential: true },
  { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
  { header: 'KIND', value: kindOf, whole: true },
  { header: 'READ', value: (item) => formatBytes(readBytes(item)), whole: true },
  { header: 'NEW', value: (item) => (item.addedBytes === null ? '-' : formatBytes(item.addedBytes)), whole: true },
  { header: 'STORE', value: (item) => item.storeName },
  { header: 'TESTED', value: (item) => item.verified?.outcome ?? '-', whole: true },
  { header: 'AGE', value: (item) => formatAge(item.takenAt ?? item.createdAt, nowMs), whole: true },
];

const reasons: Record<NonNullable<Backup['fullReason']>, string> = {
  first: 'it is the first in this store',
  asked: 'that was asked for',
  off: 'the instance was off',
  'chain-broken': 'what had changed since the one before was not known any more',
  'disks-changed': 'the instance had other disks than before',
  synthetic: 'it was put together of others in the store',
};

export function backupRows(backup: Backup, nowMs: number): [string, string | null][] {
  const { takenAt, verified, fullReason } = backup;
  return [
    ['Id', backup.id],
    ['Instance', `${backup.instanceName} (${backup.instanceId})`],
    ['State', backup.state],
    ['Kind', fullReason === null ? kindOf(backup) : `full: ${reasons[fullReason]}`],
    ['Rests on', backup.parentId],
    ['Taken', takenAt && `${takenAt} (${formatAge(takenAt, nowMs)} ago)`],
    ['Frozen', backup.frozen === null ? null : backup.frozen ? 'the file systems stood still' : 'no'],
    ...backup.disks.map(({ id, role, sizeBytes, dataBytes }): [string, string] => [
      role === 'root' ? 'Root disk' : 'Volume',
      `${id}: ${formatBytes(dataBytes)} read of ${formatBytes(sizeBytes)}`,
    ]),
    ['New data', backup.addedBytes === null ? null : formatBytes(backup.addedBytes)],
    ['Store', `${backup.storeName} (${backup.storeId})`],
    ['Schedule', backup.scheduleId],
    ['Tested', verified && `${verified.outcome}, ${formatAge(verified.at, nowMs)} ago: ${verified.detail}`],
    ['Project', backup.projectId],
  ];
}

export const describeRetention = (retention: Retention): string =>
  Object.entries(retention)
    .filter(([, count]) => count > 0)
    .map(([rule, count]) => `${rule} ${count}`)
    .join(', ');

export const scheduleColumns = (nowMs: number): Column<BackupSchedule>[] => [
  { header: 'ID', value: (item) => item.id, essential: true },
  { header: 'INSTANCE', value: (item) => item.instanceName, essential: true },
  { header: 'CRON', value: (item) => item.cron, whole: true },
  { header: 'TIME ZONE', value: (item) => item.timeZone },
  { header: 'STORE', value: (item) => item.storeName },
  { header: 'KEEPS', value: (item) => describeRetention(item.retention) },
  { header: 'NEXT', value: (item) => formatNextRun(item, nowMs) },
  { header: 'BY', value: (item) => item.createdBy },
];
