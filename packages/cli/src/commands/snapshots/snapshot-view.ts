// How snapshots are shown to people.
import type { Snapshot } from '@virga/contract/rest/snapshots';
import { formatAge, formatBytes, stateStyle } from '../../output/format.ts';
import type { Column } from '../../output/table.ts';

const holds: Record<NonNullable<Snapshot['consistency']>, string> = {
  filesystem: 'all that the guest had written; its file systems were frozen',
  crash: 'what was on the disks, as after a loss of power',
  memory: 'disks and memory',
  off: 'the disks; it was off',
};

const machine: Record<Snapshot['machineState'][number], string> = {
  'uefi-variables': 'UEFI variables',
  tpm: 'what the TPM holds',
};

export const keeps = ({ consistency }: Snapshot): string => (consistency === null ? '-' : holds[consistency]);

export function snapshotColumns(items: readonly Snapshot[], nowMs: number): Column<Snapshot>[] {
  const columns: Column<Snapshot>[] = [
    { header: 'NAME', value: (item) => item.name, essential: true },
    { header: 'INSTANCE', value: (item) => item.instanceName, essential: true },
    { header: 'STATE', value: (item) => item.state, whole: true, style: (item) => stateStyle(item.state) },
    { header: 'KEEPS', value: (item) => item.consistency ?? '-', whole: true },
    { header: 'DISKS', value: (item) => String(item.disks.length), whole: true },
    { header: 'PROTECTED', value: (item) => (item.protected ? 'yes' : '-'), whole: true },
    { header: 'CLONES', value: (item) => item.clones.join(', ') || '-' },
    { header: 'AGE', value: (item) => formatAge(item.takenAt ?? item.createdAt, nowMs), whole: true },
  ];
  if (items.some((item) => item.stateReason))
    columns.push({ header: 'REASON', value: (item) => item.stateReason ?? '' });
  return columns;
}

export function snapshotRows(snapshot: Snapshot, nowMs: number): [string, string | null][] {
  const takenAt = snapshot.takenAt ?? snapshot.createdAt;
  return [
    ['Name', snapshot.name],
    ['Id', snapshot.id],
    ['Instance', `${snapshot.instanceName} (${snapshot.instanceId})`],
    ['State', snapshot.state],
    ['Reason', snapshot.stateReason],
    ['Keeps', keeps(snapshot)],
    ['Disks', snapshot.disks.map(diskText).join(', ') || null],
    ['Also', snapshot.machineState.map((kind) => machine[kind]).join(', ') || null],
    ['Protected', snapshot.protected ? 'neither a schedule nor the deletion of the instance takes it away' : null],
    ['Schedule', snapshot.scheduleId],
    ['Clones', snapshot.clones.join(', ') || null],
    ['Project', snapshot.projectId],
    ['Taken', `${takenAt} (${formatAge(takenAt, nowMs)} ago)`],
  ];
}

const diskText = ({ id, sizeBytes, target }: Snapshot['disks'][number]): string =>
  [target, id, formatBytes(sizeBytes)].filter((part) => part !== undefined).join(' ');
