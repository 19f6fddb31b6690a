// Attaching volumes to instances and detaching them. An instance has a volume from the moment that this is asked for until
// its host has said that the guest has let go of it; nobody else can have it meanwhile.
import { isDeepStrictEqual } from 'node:util';
import type { DiskDriver, DiskLimits } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, VolumeId } from '@virga/contract/ids';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { mergedDriver, requireDriver } from '../hosts/disk-drivers.ts';
import { readDiskLimits } from '../volumes/disk-limits.ts';
import { refuseMoving } from '../volumes/volume-refusals.ts';
import { findVolume, holdVolume, moveVolumeToHost, type VolumeView } from '../volumes/volume-store.ts';
import { type Changed, changeDevices } from './device-change.ts';
import { freeTarget, requireChangeable, requireRelease, requireRoom } from './instance-devices.ts';
import type { InstanceRow } from './instance-store.ts';

const field = '/volume';

/**
 * Attaches a volume. One that the instance has stays; one that it is about to lose is kept.
 * @throws NotFound | InUse another instance has it | Conflict it lies on another host, cannot be used now, or the instance
 *   cannot take it now | InvalidArgument
 */
export async function attachVolume(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  body: {
    volume: string;
    readOnly?: boolean | undefined;
    limits?: DiskLimits | undefined;
    driver?: DiskDriver | undefined;
  },
  ifMatch?: number,
): Promise<Changed> {
  const { readOnly = false } = body;
  const asked = readDiskLimits(body.limits, '/limits');
  const driver = mergedDriver(body.driver);
  return changeDevices(deps, access, id, ifMatch, async (tx, row, generation) => {
    requireChangeable(row);
    const volume = await holdVolume(tx, access, body.volume, field);
    const present = row.volumes.find((one) => one.id === volume.id);
    // Those of its type, unless others are given.
    const limits = body.limits === undefined ? (present?.limits ?? volume.limits) : asked;
    const kind = 'instance.attach-volume';
    const isThere = present && !present.detaching && present.readOnly === readOnly;
    const isSame = isDeepStrictEqual(present?.limits, limits) && isDeepStrictEqual(present?.driver, driver);
    if (isThere && isSame) return { kind, isNew: false };
    if (present && present.readOnly !== readOnly) throw otherwise(row, volume);
    if (driver) {
      const { scratch, name } = volume;
      const disk = { label: `volume ${name}`, driver, hardware: row.hardware, scratch, field: '/driver' };
      await requireDriver(tx, row.host_id, disk);
    }
    if (!present) {
      requireRoom(row);
      requireUsable(volume);
      const isHere = volume.host_id === row.host_id || (await moveVolumeToHost(tx, access, volume, row.host_id));
      if (!isHere) throw onAnotherHost(row, volume);
    }
    const target = present?.target ?? freeTarget(row);
    const values = {
      read_only: readOnly,
      limits: limits && JSON.stringify(limits),
      driver: driver && JSON.stringify(driver),
      generation,
      detaching: false,
    };
    await tx
      .insertInto('volume_attachments')
      .values({ ...values, volume_id: volume.id, instance_id: id, target })
      .onConflict((conflict) => conflict.constraint('volume_attachments_one_instance').doUpdateSet(values))
      .execute();
    return { kind, isNew: true, data: { volumeId: volume.id, volumeName: volume.name, target, readOnly } };
  });
}

/**
 * Detaches a volume, as soon as the guest lets go of it.
 * @throws NotFound the instance does not have it | Conflict the guest cannot let go of it now
 */
export async function detachVolume(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  volumeId: VolumeId,
  ifMatch?: number,
): Promise<Changed> {
  return changeDevices(deps, access, id, ifMatch, async (tx, row, generation) => {
    const present = row.volumes.find((volume) => volume.id === volumeId);
    if (!present) throw notAttached(row, volumeId);
    const kind = 'instance.detach-volume';
    if (present.detaching) return { kind, isNew: false };
    requireRelease(row);
    refuseMoving((await findVolume(tx, volumeId))!);
    await tx
      .updateTable('volume_attachments')
      .set({ detaching: true, generation })
      .where('volume_id', '=', volumeId)
      .execute();
    return { kind, isNew: true, data: { volumeId, volumeName: present.name, target: present.target } };
  });
}

function requireUsable(volume: VolumeView): void {
  if (volume.attachment !== null) {
    const { instanceName } = volume.attachment;
    throw new VirgaError('InUse', {
      detail: `Instance ${instanceName} has the volume ${volume.name}, and a volume is in one instance only.`,
      action: `Detach it first: virga detach ${instanceName} ${volume.name}`,
      field,
    });
  }
  if (volume.desired === 'deleted') throw unusable(`Volume ${volume.name} is being deleted.`, 'Create another one.');
  refuseMoving(volume, field);
  if (volume.failure) throw unusable(volume.failure.detail, volume.failure.action);
  if (volume.converged_generation === 0) {
    throw unusable(`Volume ${volume.name} is still being made.`, 'Wait until it is available.');
  }
}

const onAnotherHost = (row: InstanceRow, volume: VolumeView) =>
  unusable(
    `Volume ${volume.name} lies on host ${volume.host_name}, instance ${row.name} runs on host ${row.host_name}.`,
    `Create a volume beside the instance, and copy the data: virga volumes create NAME --size GIB --instance ${row.name}`,
  );

const unusable = (detail: string, action: string) => new VirgaError('Conflict', { detail, action, field });

const otherwise = (row: InstanceRow, volume: VolumeView) =>
  new VirgaError('Conflict', {
    detail: `Instance ${row.name} has the volume ${volume.name} already, in another way.`,
    action: `Detach it first: virga detach ${row.name} ${volume.name}`,
    field: '/readOnly',
  });

export const notAttached = (row: InstanceRow, volumeId: VolumeId) =>
  new VirgaError('NotFound', {
    detail: `Instance ${row.name} has no volume ${volumeId}.`,
    action: `See what it has: virga show ${row.name}`,
  });
