// How backup stores are shown to people.
import type { BackupStore } from '@virga/contract/rest/backup-stores';
import { formatAge, formatBytes, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

const describePlace = ({ place }: BackupStore): string =>
  place.kind === 'directory'
    ? place.path
    : `${place.endpoint}/${place.bucket}${place.prefix === '' ? '' : `/${place.prefix}`}`;

export function backupStoreColumns(items: readonly BackupStore[]): Column<BackupStore>[] {
  const columns: Column<BackupStore>[] = [
    { header: 'NAME', value: (item) => item.name, essential: true },
    { header: 'ID', value: (item) => item.id },
    { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
    { header: 'PLACE', value: describePlace, essential: true },
    { header: 'HOST', value: (item) => item.hostName ?? 'every' },
    { header: 'BACKUPS', value: (item) => String(item.backups), whole: true },
    { header: 'SIZE', value: (item) => (item.sizeBytes === null ? '-' : formatBytes(item.sizeBytes)), whole: true },
  ];
  if (items.some((item) => item.stateReason))
    columns.push({ header: 'REASON', value: (item) => item.stateReason ?? '' });
  return columns;
}

export function backupStoreRows(store: BackupStore, nowMs: number): [string, string | null][] {
  const { limitBytesPerSecond: limit } = store;
  return [
    ['Name', store.name],
    ['Id', store.id],
    ['State', store.state],
    ['Reason', store.stateReason],
    ['Place', describePlace(store)],
    ['Host', store.hostName ?? 'every host sees it'],
    ['Limit', limit === null ? null : `${formatBytes(limit)} a second, of each backup`],
    ['Backups', String(store.backups)],
    ['Size', store.sizeBytes === null ? null : formatBytes(store.sizeBytes)],
    ['Checked', store.checkedAt && `${store.checkedAt} (${formatAge(store.checkedAt, nowMs)} ago)`],
    ['Created', `${store.createdAt} (${formatAge(store.createdAt, nowMs)} ago)`],
  ];
}
