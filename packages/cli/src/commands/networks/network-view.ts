// How networks are shown to people.
import type { Network } from '@virga/contract/rest/networks';
import { formatAge, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

export function networkColumns(items: readonly Network[], nowMs: number): Column<Network>[] {
  const columns: Column<Network>[] = [
    { header: 'NAME', value: (item) => item.name, essential: true },
    { header: 'ID', value: (item) => item.id, essential: true },
    { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
    { header: 'CIDR', value: (item) => item.cidr, whole: true },
    { header: 'LEASED', value: (item) => `${item.leasedCount}/${item.addressCount}`, whole: true },
    { header: 'KIND', value: (item) => item.kind },
    { header: 'VISIBLE', value: (item) => item.visibility },
    { header: 'AGE', value: (item) => formatAge(item.createdAt, nowMs), whole: true },
  ];
  if (items.some((item) => item.stateReason))
    columns.push({ header: 'REASON', value: (item) => item.stateReason ?? '' });
  return columns;
}

export function networkRows(network: Network, nowMs: number): [string, string | null][] {
  return [
    ['Name', network.name],
    ['Id', network.id],
    ['State', network.state],
    ['Reason', network.stateReason],
    ['Kind', network.kind],
    ['CIDR', network.cidr],
    ['Gateway', network.gateway],
    ['Addresses', `${network.leasedCount} of ${network.addressCount} leased`],
    ...network.reserved.map(({ address, mac, domainName }): [string, string] => [
      'Reserved',
      `${address} for ${domainName} (${mac}), which was released`,
    ]),
    ['Visibility', network.visibility],
    ['Project', network.projectId],
    ['Created', `${network.createdAt} (${formatAge(network.createdAt, nowMs)} ago)`],
  ];
}
