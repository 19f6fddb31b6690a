// How volumes are shown to people.
import type { Volume } from '@virga/contract/rest/volumes';
import { formatAge, formatBytes, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';
import { describeDiskDriver } from '../disk-driver-options.ts';
import { describeDiskLimits } from '../limit-options.ts';

export function volumeColumns(items: readonly Volume[], nowMs: number): Column<Volume>[] {
  const columns: Column<Volume>[] = [
    { header: 'NAME', value: (item) => item.name, essential: true },
    { header: 'ID', value: (item) => item.id, essential: true },
    { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
    { header: 'SIZE', value: (item) => formatBytes(item.sizeBytes), whole: true },
    { header: 'USED', value: (item) => (item.usedBytes === null ? '-' : formatBytes(item.usedBytes)), whole: true },
    { header: 'POOL', value: (item) => item.poolName },
    { header: 'INSTANCE', value: (item) => item.attachment?.instanceName ?? '-' },
    { header: 'HOST', value: (item) => item.hostName },
    { header: 'AGE', value: (item) => formatAge(item.createdAt, nowMs), whole: true },
  ];
  if (items.some((item) => item.stateReason))
    columns.push({ header: 'REASON', value: (item) => item.stateReason ?? '' });
  return columns;
}

export function volumeRows(volume: Volume, nowMs: number): [string, string | null][] {
  const { attachment } = volume;
  return [
    ['Name', volume.name],
    ['Id', volume.id],
    ['State', volume.state],
    ['Reason', volume.stateReason],
    ['Size', formatBytes(volume.sizeBytes)],
    ['Used', volume.usedBytes === null ? null : `${formatBytes(volume.usedBytes)} of its pool`],
    ['Pool', `${volume.poolName} (${volume.poolId})`],
    ['Moving', volume.move && `to ${volume.move.poolName} (${volume.move.operationId})`],
    ['Type', volume.type],
    [
      'Format',
      volume.preallocation === 'off' ? volume.format : `${volume.format}, preallocation ${volume.preallocation}`,
    ],
    ['Encrypted', volume.encrypted ? 'with a key of its own' : null],
    ['Image', volume.image && `${volume.image.imageId}, ${volume.image.clone} clone`],
    ['Snapshot', volume.snapshot && `${volume.snapshot.snapshotId}, of the disk ${volume.snapshot.diskId}`],
    ['Protected', volume.deletionProtection ? 'from being deleted' : null],
    ['Host', `${volume.hostName} (${volume.hostId})`],
    ['Instance', attachment && `${attachment.instanceName} (${attachment.instanceId})`],
    ['Place', attachment && `${attachment.target}${attachment.readOnly ? ', read only' : ''}`],
    ['Scratch', volume.scratch ? 'what is on it may be lost' : null],
    ['Driver', attachment && describeDiskDriver(attachment.driver)],
    ['Limits', describeDiskLimits(attachment ? attachment.limits : volume.limits)],
    ['Project', volume.projectId],
    ['Created', `${volume.createdAt} (${formatAge(volume.createdAt, nowMs)} ago)`],
  ];
}
