// Says how QEMU reads and writes a disk of an instance. QEMU opens a disk once, when the guest is started or the disk plugged
// in, so a guest that runs has the change from its next start on, or by a power cycle that was asked for with it.
import { isDeepStrictEqual } from 'node:util';
import type { DiskDriver } from '@virga/contract/agent/desired';
import type { DrivenDisk } from '@virga/contract/agent/disk-driver';
import type { InstanceId, OperationId, VolumeId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { mergedDriver, requireDriver } from '../hosts/disk-drivers.ts';
import { notAttached } from './attach-volume.ts';
import { amendInstance, joinOperation } from './instance-change.ts';
import { requireChangeable } from './instance-devices.ts';
import { change, newReboot } from './instance-operations.ts';
import type { InstanceRow } from './instance-store.ts';

/** How long the guest may take to shut down for a restart. */
const shutDownMs = 60_000;
const kind = 'instance.change-disk-driver';

/**
 * Replaces the driver of the root disk or a volume. What it is already succeeds at once.
 * @throws NotFound | Conflict
 * @throws InvalidArgument | HostIncapable | VolatileWriteCache
 */
export async function changeDiskDriver(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  volumeId: VolumeId,
  { driver: asked, restart = false }: { driver: DiskDriver; restart?: boolean | undefined },
  ifMatch?: number,
): Promise<{ instance: Instance; operationId: OperationId }> {
  const driver = mergedDriver(asked);
  const text = driver && JSON.stringify(driver);
  return change(deps, access, id, ifMatch, async (tx, row) => {
    requireChangeable(row);
    const { was, ...disk } = diskOf(row, volumeId);
    const isOn = row.desired !== 'stopped';
    if (isDeepStrictEqual(was, driver) && !(restart && isOn)) {
      return joinOperation(tx, access, row, kind, deps.clock.now());
    }
    if (driver) await requireDriver(tx, row.host_id, { ...disk, driver, hardware: row.hardware, field: '/driver' });
    const set = volumeId === row.root_disk_id ? { root_disk_driver: text } : {};
    if (volumeId !== row.root_disk_id) {
      await tx.updateTable('volume_attachments').set({ driver: text }).where('volume_id', '=', volumeId).execute();
    }
    const data = { volumeId, driver, restart };
    if (!restart || !isOn) return amendInstance(tx, access, row, { kind, set, data });
    const forceAt = new Date(deps.clock.now().getTime() + shutDownMs).toISOString();
    return { kind, set: { ...set, reboot: newReboot(row, 'cycle', forceAt) }, data };
  });
}

/** @throws NotFound */
function diskOf(
  row: InstanceRow,
  volumeId: VolumeId,
): Pick<DrivenDisk, 'label' | 'scratch'> & { was: DiskDriver | null } {
  if (volumeId === row.root_disk_id) return { label: 'root disk', scratch: false, was: row.root_disk_driver };
  const present = row.volumes.find((volume) => volume.id === volumeId && !volume.detaching);
  if (!present) throw notAttached(row, volumeId);
  return { label: `volume ${present.name}`, scratch: present.scratch, was: present.driver };
}
