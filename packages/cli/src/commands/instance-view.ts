// How instances are shown to people.
import type { Instance } from '@virga/contract/rest/instances';
import { formatAge, formatBytes, formatMib, stateStyle } from '../output/format.ts';
import type { Column } from '../output/table.ts';

export function addressOf(instance: Instance): string | undefined {
  return instance.networkInterfaces[0]?.address;
}

export function instanceColumns(items: readonly Instance[], nowMs: number): Column<Instance>[] {
  const columns: Column<Instance>[] = [
    { header: 'NAME', value: (item) => item.name, essential: true },
    { header: 'ID', value: (item) => item.id, essential: true },
    { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
    { header: 'ADDRESS', value: (item) => addressOf(item) ?? '-', whole: true },
    { header: 'TYPE', value: (item) => item.type },
    { header: 'IMAGE', value: (item) => item.imageName ?? '-' },
    { header: 'HOST', value: (item) => item.hostName },
    { header: 'AGE', value: (item) => formatAge(item.createdAt, nowMs), whole: true },
  ];
  if (items.some((item) => item.stateReason))
    columns.push({ header: 'REASON', value: (item) => item.stateReason ?? '' });
  return columns;
}

export function instanceRows(instance: Instance, nowMs: number): [string, string | null][] {
  return [
    ['Name', instance.name],
    ['Id', instance.id],
    ['State', instance.state],
    ['Reason', instance.stateReason],
    ['Asked for', instance.desiredState],
    ['Seen', instance.observedState],
    ['Type', `${instance.type} (${instance.vcpus} vCPU, ${formatMib(instance.memoryMib)})`],
    ['Disk', formatBytes(instance.diskBytes)],
    ['Image', instance.imageName && `${instance.imageName} (${instance.imageId})`],
    ...instance.networkInterfaces.map((nic): [string, string] => [
      'Address',
      `${nic.address} on ${nic.networkName} (${nic.mac})`,
    ]),
    ['Login user', instance.loginUser],
    ['Key pairs', instance.keyPairs.join(', ')],
    ['Host', `${instance.hostName} (${instance.hostId})`],
    ['Domain', `${instance.domainName}${instance.origin === 'adopted' ? ' (adopted)' : ''}`],
    ['Generation', String(instance.generation)],
    ['Created', `${instance.createdAt} (${formatAge(instance.createdAt, nowMs)} ago)`],
    ['Started', instance.startedAt && `${instance.startedAt} (${formatAge(instance.startedAt, nowMs)} ago)`],
  ];
}
