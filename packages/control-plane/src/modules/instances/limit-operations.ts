// Limits of disks and network interfaces of an instance: written beside it, and put in force while its guest runs.
import { isDeepStrictEqual } from 'node:util';
import type { DiskLimits, NicLimits } from '@virga/contract/agent/desired';
import type { InstanceId, NetworkInterfaceId, VolumeId } from '@virga/contract/ids';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { readDiskLimits } from '../volumes/disk-limits.ts';
import { notAttached } from './attach-volume.ts';
import { type Changed, changeDevices } from './device-change.ts';
import { readNicLimits } from './device-limits.ts';
import { requireChangeable } from './instance-devices.ts';
import { noInterface } from './network-interface-operations.ts';

/** Limits the root disk or a volume. @throws NotFound | Conflict | InvalidArgument */
export async function limitDisk(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  volumeId: VolumeId,
  body: DiskLimits,
  ifMatch?: number,
): Promise<Changed> {
  const limits = readDiskLimits(body, '');
  const text = limits && JSON.stringify(limits);
  return changeDevices(deps, access, id, ifMatch, async (tx, row) => {
    const kind = 'instance.limit-disk';
    const data = { volumeId, limits };
    requireChangeable(row);
    if (volumeId === row.root_disk_id) {
      const isNew = !isDeepStrictEqual(row.root_disk_limits, limits);
      return { kind, isNew, set: { root_disk_limits: text }, data };
    }
    const present = row.volumes.find((volume) => volume.id === volumeId && !volume.detaching);
    if (!present) throw notAttached(row, volumeId);
    if (isDeepStrictEqual(present.limits, limits)) return { kind, isNew: false };
    await tx.updateTable('volume_attachments').set({ limits: text }).where('volume_id', '=', volumeId).execute();
    return { kind, isNew: true, data };
  });
}

/** @throws NotFound | Conflict | InvalidArgument | HostIncapable */
export async function limitNetworkInterface(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  nicId: NetworkInterfaceId,
  body: NicLimits,
  ifMatch?: number,
): Promise<Changed> {
  return changeDevices(deps, access, id, ifMatch, async (tx, row) => {
    requireChangeable(row);
    const kind = 'instance.limit-network-interface';
    const present = row.nics.find((nic) => nic.id === nicId && !nic.detaching);
    if (!present) throw noInterface(row, nicId);
    const limits = await readNicLimits(tx, row.host_id, body, '');
    if (isDeepStrictEqual(present.limits, limits)) return { kind, isNew: false };
    await tx
      .updateTable('nics')
      .set({ limits: limits && JSON.stringify(limits) })
      .where('id', '=', nicId)
      .execute();
    return { kind, isNew: true, data: { nicId, limits } };
  });
}
