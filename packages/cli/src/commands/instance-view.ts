// How instances are shown to people.
import type { AttachedVolume, DeviceState, NetworkInterface } from '@virga/contract/rest/instance-devices';
import type { Instance } from '@virga/contract/rest/instances';
import { formatUntil } from '../moment.ts';
import { formatAge, formatBytes, formatMib, stateStyle } from '../output/format.ts';
import type { Column } from '../output/table.ts';
import { describeCpu } from './cpu-options.ts';
import { describeDiskDriver } from './disk-driver-options.ts';
import { describeDrive, describeHardware } from './hardware-options.ts';
import { describeDiskLimits, describeNicLimits } from './limit-options.ts';

export function addressOf(instance: Instance): string | undefined {
  return instance.networkInterfaces[0]?.address;
}

export function instanceColumns(
  items: readonly Instance[],
  nowMs: number,
  { tags = false }: { tags?: boolean } = {},
): Column<Instance>[] {
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
  if (tags) columns.push({ header: 'TAGS', value: (item) => formatTags(item) });
  if (items.some((item) => item.stateReason))
    columns.push({ header: 'REASON', value: (item) => item.stateReason ?? '' });
  return columns;
}

export function instanceRows(instance: Instance, nowMs: number): [string, string | null][] {
  return [
    ['Name', instance.name],
    ['Id', instance.id],
    ['Description', instance.description],
    ['Tags', formatTags(instance)],
    ['State', instance.state],
    ['Reason', instance.stateReason],
    ['Asked for', instance.desiredState],
    ['Seen', instance.observedState],
    ['Type', `${instance.type} (${instance.vcpus} vCPU, ${formatMib(instance.memoryMib)})`],
    ['Can grow to', room(instance)],
    ['Has now', differentSize(instance)],
    ['Memory', memoryKind(instance)],
    ['Disk', withLimits(formatBytes(instance.diskBytes), describeDiskLimits(instance.rootDiskLimits))],
    ['Disk driver', describeDiskDriver(instance.rootDiskDriver)],
    ['Disk pool', instance.rootPoolName && `${instance.rootPoolName} (${instance.rootPoolId})`],
    [
      'Disk moving',
      instance.rootDiskMove && `to ${instance.rootDiskMove.poolName} (${instance.rootDiskMove.operationId})`,
    ],
    ...instance.volumes.map((volume): [string, string] => ['Volume', describeVolume(volume)]),
    ['Image', instance.imageName && `${instance.imageName} (${instance.imageId})`],
    ...instance.networkInterfaces.map((nic): [string, string] => ['Address', describeNic(nic)]),
    // What an adopted one is made of, its own definition says.
    ['Hardware', instance.origin === 'adopted' ? null : describeHardware(instance)],
    ['Boots from', instance.origin === 'adopted' ? null : instance.bootOrder.join(', ')],
    ['CD-ROM', describeDrive(instance)],
    ['Login user', instance.loginUser],
    ['vCPUs run', describeCpu(instance.cpu)],
    ['Key pairs', instance.keyPairs.join(', ')],
    ['Host', `${instance.hostName} (${instance.hostId})`],
    ['Domain', `${instance.domainName}${instance.origin === 'adopted' ? ' (adopted)' : ''}`],
    ['Protected', instance.deleteProtection ? 'from being deleted' : null],
    ['Autostart', instance.autostart],
    ['On crash', instance.crashPolicy],
    ['Expires', expiry(instance, nowMs)],
    ['Generation', String(instance.generation)],
    ['Created', `${instance.createdAt} (${formatAge(instance.createdAt, nowMs)} ago)`],
    ['Began', instance.launchPath === 'warm' ? 'as a copy of a running guest' : null],
    ['Started', instance.startedAt && `${instance.startedAt} (${formatAge(instance.startedAt, nowMs)} ago)`],
  ];
}

const withLimits = (text: string, limits: string | null): string =>
  limits === null ? text : `${text}, at most ${limits}`;

const underWay = ({ state }: { state: DeviceState }): string => (state === 'attached' ? '' : `, ${state}`);

function describeVolume(volume: AttachedVolume): string {
  const { name, sizeBytes, target, readOnly, limits, driver } = volume;
  const way = driver === null ? '' : `, ${describeDiskDriver(driver)}`;
  const text = `${name} (${formatBytes(sizeBytes)}) at ${target}${readOnly ? ', read only' : ''}${way}${underWay(volume)}`;
  return withLimits(text, describeDiskLimits(limits));
}

function describeNic(nic: NetworkInterface): string {
  const text = `${nic.address} on ${nic.networkName} (${nic.mac})${underWay(nic)}`;
  return withLimits(text, describeNicLimits(nic.limits));
}

/** What its memory is made of, when that is not as usual. */
function memoryKind({ hugePageKib, noMerge }: Instance): string | null {
  if (hugePageKib !== null) return `of huge pages of ${formatMib(hugePageKib / 1024)}`;
  return noMerge ? 'never merged with that of others' : null;
}

/** How far it can grow while it runs. */
function room({ vcpus, maxVcpus, memoryMib, maxMemoryMib }: Instance): string | null {
  if (maxVcpus === vcpus && maxMemoryMib === memoryMib) return null;
  return `${maxVcpus} vCPU, ${formatMib(maxMemoryMib)} while it runs`;
}

/** What the guest has, when that is not its size: it has not given memory back, or waits for its next start. */
function differentSize({ vcpus, observedVcpus, memoryMib, observedMemoryMib }: Instance): string | null {
  if (observedVcpus === null || observedMemoryMib === null) return null;
  if (observedVcpus === vcpus && observedMemoryMib === memoryMib) return null;
  return `${observedVcpus} vCPU, ${formatMib(observedMemoryMib)}`;
}

const formatTags = ({ tags }: Instance): string =>
  Object.entries(tags)
    .map(([key, value]) => (value === '' ? key : `${key}=${value}`))
    .join(', ');

function expiry({ expiresAt, expiryAction }: Instance, nowMs: number): string | null {
  if (expiresAt === null) return null;
  return `${expiresAt} (in ${formatUntil(expiresAt, nowMs)}), and is ${expiryAction === 'delete' ? 'deleted' : 'stopped'} then`;
}
