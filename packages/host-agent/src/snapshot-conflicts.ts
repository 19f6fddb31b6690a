// What both kinds of host refuse to do with snapshots: the sentences, once.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, SnapshotId, VolumeId } from '@virga/contract/ids';

export const snapshotMissing = (id: SnapshotId) =>
  new VirgaError('NotFound', {
    detail: `The snapshot ${id} is not on this host.`,
    action: 'List snapshots with virga snapshots list.',
  });

export const diskMissing = (name: string, diskId: VolumeId) =>
  new VirgaError('NotFound', {
    detail: `The snapshot ${name} is not of the disk ${diskId}.`,
    action: 'See which disks it is of: virga snapshots show.',
  });

export const snapshotGone = (name: string, domainName: string) =>
  new VirgaError('HypervisorRefused', {
    detail: `The snapshot ${name} of ${domainName} is gone from its host.`,
    action: 'Delete it; one of now would not be what it was.',
  });

export const domainMissing = (name: string) =>
  new VirgaError('NotFound', {
    detail: `There is no domain ${name} on the host.`,
    action: 'Start the instance first.',
  });

export const isAdopted = (name: string) =>
  new VirgaError('Conflict', {
    detail: `${name} was adopted: its disks are not Virga's to put on other files.`,
    action: `Use virsh snapshot-create-as ${name}, or launch an instance from a copy of its disk.`,
  });

export const isHibernated = (name: string) =>
  new VirgaError('Conflict', {
    detail: `${name} is hibernated, and its saved memory belongs to its disks as they are.`,
    action: 'Wake it first: virga start.',
  });

export const hasNoMemory = (name: string) =>
  new VirgaError('Conflict', {
    detail: `${name} is off, so it has no memory to keep.`,
    action: 'Leave the memory out, or start it first.',
    field: '/memory',
  });

export const isOn = (name: string) =>
  new VirgaError('Conflict', {
    detail: `${name} is on, and its guest would not know that its disks are others.`,
    action: 'Stop it first, or ask for a restart: virga snapshots revert --restart.',
  });

/** @param missing disks of the snapshot that it no longer has; `other` one that it has, and the snapshot is not of */
export const hasOtherDisks = (
  domainName: string,
  snapshotName: string,
  missing: readonly string[],
  other: string | undefined,
) =>
  new VirgaError('Conflict', {
    detail:
      missing.length > 0
        ? `${domainName} no longer has ${missing.join(', ')}, which the snapshot ${snapshotName} is of too.`
        : `${domainName} has ${other}, which the snapshot ${snapshotName} is not of.`,
    action: missing.length > 0 ? 'Attach it again first: virga attach.' : 'Detach it first: virga detach.',
  });

export const hasClones = (name: string, clones: readonly InstanceId[]) =>
  new VirgaError('InUse', {
    detail: `The disks of ${clones.length} clones rest on the snapshot ${name}, such as that of ${clones[0]}.`,
    action: 'Delete those first.',
  });

export const isBeingCopied = (name: string, volumes: readonly VolumeId[]) =>
  new VirgaError('InUse', {
    detail: `Volumes are being made from the snapshot ${name}, such as ${volumes[0]}.`,
    action: 'Wait until they are there, or delete them.',
  });

export const instanceTaken = (id: InstanceId) =>
  new VirgaError('Conflict', { detail: `There is an instance ${id} already.`, action: 'Use another id.' });
