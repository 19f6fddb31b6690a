// How pools are shown to people.
import type { Pool } from '@virga/contract/rest/pools';
import { formatAge, formatBytes, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

const known = (bytes: number | null): string => (bytes === null ? '-' : formatBytes(bytes));

export function poolColumns(items: readonly Pool[]): Column<Pool>[] {
  const columns: Column<Pool>[] = [
    { header: 'NAME', value: (item) => (item.isDefault ? `${item.name} (default)` : item.name), essential: true },
    { header: 'ID', value: (item) => item.id, essential: true },
    { header: 'DRIVER', value: (item) => item.driver, whole: true },
    { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
    { header: 'SIZE', value: (item) => known(item.capacityBytes), whole: true },
    {
      header: 'FREE',
      value: (item) => (item.isLow ? `${known(item.freeBytes)} (low)` : known(item.freeBytes)),
      whole: true,
    },
    { header: 'PROMISED', value: (item) => formatBytes(item.allocatedBytes), whole: true },
    { header: 'HOSTS', value: (item) => item.hosts.map(({ hostName }) => hostName).join(', ') },
  ];
  if (items.some((item) => item.stateReason))
    columns.push({ header: 'REASON', value: (item) => item.stateReason ?? '' });
  return columns;
}

export function poolRows(pool: Pool, nowMs: number): [string, string | null][] {
  const { ceph, overcommit } = pool;
  return [
    ['Name', pool.name],
    ['Id', pool.id],
    ['Driver', pool.driver],
    ['Path', pool.path],
    ['Ceph', ceph && `${ceph.pool} on ${ceph.monitors.join(', ')} as client.${ceph.user}`],
    ['State', pool.state],
    ['Reason', pool.stateReason],
    ['Size', known(pool.capacityBytes)],
    ['Free', pool.isLow ? `${known(pool.freeBytes)}: less than ${pool.lowSpacePercent} %` : known(pool.freeBytes)],
    ['Promised', formatBytes(pool.allocatedBytes)],
    ['Overcommit', overcommit === null ? 'no limit' : `${overcommit} times its size`],
    ['Alarm', pool.lowSpacePercent === 0 ? 'never' : `below ${pool.lowSpacePercent} %`],
    ['Default', pool.isDefault ? 'volumes go there when nothing else is said' : null],
    ...pool.hosts.map(({ hostName, isReady, reason, abilities }): [string, string] => {
      const can = abilities && [
        ...(abilities.fileSystem ? [abilities.fileSystem] : []),
        abilities.reflink ? 'reflinks' : 'no reflinks',
        abilities.directIo ? 'direct I/O' : 'no direct I/O',
      ];
      return [`On ${hostName}`, [isReady ? 'ready' : (reason ?? 'not ready'), ...(can ?? [])].join(', ')];
    }),
    ['Created', `${pool.createdAt} (${formatAge(pool.createdAt, nowMs)} ago)`],
  ];
}
