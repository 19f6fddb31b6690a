// Volumes of a simulated host: made, grown, removed, told. The same refusals as on a real one.
import type { SnapshotDisk } from '@virga/contract/agent/snapshots';
import type { DesiredVolume, ObservedVolume, VolumeToDelete } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import { recordOfVolume } from '../libvirt/volumes/volume-record.ts';
import { diskMissing, snapshotMissing } from '../snapshot-conflicts.ts';
import { volumeNotOurs, volumeOvertaken } from '../volume-conflicts.ts';
import type { CallSteps } from './call-steps.ts';
import { devicesOf, type StoredVolume } from './host-records.ts';
import { requireKeys, requireSpace } from './host-rules.ts';
import { takeFetched } from './simulated-backups.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { openSimulatedPool } from './simulated-pools.ts';

/** What an empty disk takes. */
const emptyDiskBytes = 256 * 1024;

export async function applyVolume(
  host: SimulatedHost,
  desired: DesiredVolume,
  steps: CallSteps,
): Promise<ObservedVolume> {
  const { volumes } = host.store;
  const { id, cloudId, mustExist, pool, source, snapshot } = desired;
  if (pool) openSimulatedPool(host, pool);
  const present = volumes.get(id);
  const move = host.store.moves.get(id);
  // It has moved, of which who asks has not heard yet.
  if (move?.isSwitched && move.before.generation === desired.generation && present?.cloudId === cloudId)
    return observeVolume(present);
  if (present !== undefined && present.cloudId !== cloudId) throw volumeNotOurs(id);
  if (present !== undefined && present.generation > desired.generation)
    throw volumeOvertaken(present.generation, desired);
  const record = recordOfVolume(desired);
  if (desired.passphrase !== undefined) host.opened.add(id);
  if (present === undefined) {
    // What several hosts see is there for each of them.
    const isShared = pool !== undefined && pool.place.driver !== 'directory';
    if (mustExist && !isShared) throw gone(id);
    const image = source && host.store.images.get(source.imageId);
    if (source && image?.cloudId !== cloudId) throw noImage(source.imageId);
    const kept = snapshot && snapshotDisk(host, cloudId, snapshot);
    if (snapshot) requireKeys(host, [{ id: snapshot.diskId }]);
    const fileBytes = firstBytes(desired, image?.fileSizeBytes);
    const sizeBytes = Math.max(record.sizeBytes, image?.virtualSizeBytes ?? 0, kept?.sizeBytes ?? 0);
    if (snapshot) await copySnapshot(host, id, snapshot, steps);
    await steps.take('volume', 20, steps.timings.rootDiskMs, () => {
      if (desired.restored) takeFetched(host, desired.restored);
      if (!pool) requireSpace(host, fileBytes);
      volumes.set(id, { ...record, sizeBytes, fileBytes });
    });
  } else {
    if (present.fileBytes === null) throw gone(id);
    const sizeBytes = Math.max(present.sizeBytes, record.sizeBytes);
    const stored = { ...record, sizeBytes, fileBytes: present.fileBytes };
    if (sizeBytes > present.sizeBytes) await steps.take('grow-volume', 50, 0, () => volumes.set(id, stored));
    else volumes.set(id, stored);
  }
  return observeVolume(volumes.get(id)!);
}

/** The snapshot stays meanwhile. */
async function copySnapshot(
  host: SimulatedHost,
  id: VolumeId,
  snapshot: SnapshotDisk,
  steps: CallSteps,
): Promise<void> {
  host.copies.set(id, snapshot.id);
  try {
    await steps.take('volume-copy', 10, steps.timings.rootDiskMs, () => undefined);
  } finally {
    host.copies.delete(id);
  }
}

/** @throws NotFound */
function snapshotDisk(host: SimulatedHost, cloudId: string, { id, diskId }: SnapshotDisk): { sizeBytes: number } {
  const snapshot = host.store.snapshots.get(id);
  if (snapshot?.cloudId !== cloudId) throw snapshotMissing(id);
  const disk = snapshot.disks.find((one) => one.id === diskId);
  if (disk === undefined) throw diskMissing(snapshot.name, diskId);
  return disk;
}

function firstBytes({ preallocation = 'off', sizeBytes, source }: DesiredVolume, imageBytes = 0): number {
  if (preallocation === 'falloc' || preallocation === 'full') return sizeBytes;
  return emptyDiskBytes + (source?.clone === 'full' ? imageBytes : 0);
}

/** Removes a volume of this cloud. Nothing there is success. @throws InUse */
export async function removeVolume(
  host: SimulatedHost,
  { id, cloudId, wipe = 'none' }: VolumeToDelete,
  steps: CallSteps,
): Promise<void> {
  if (host.store.volumes.get(id)?.cloudId !== cloudId) return;
  const holder = host.store.domains
    .all()
    .find((domain) => devicesOf(domain).volumes.some((volume) => volume.id === id));
  if (holder !== undefined) throw inUse(id, holder.record.desired.domainName);
  if (wipe !== 'none') await steps.take('wipe-volume', 20, 0, () => undefined);
  await steps.take('delete-volume', 50, 0, () => host.store.volumes.delete(id));
}

export function observeVolume({ fileBytes, ...volume }: StoredVolume): ObservedVolume {
  return { format: 'qcow2', ...volume, usedBytes: fileBytes, intact: fileBytes !== null };
}

/** @throws HypervisorRefused it is not on this host, or has lost its disk | NotFound it has yet to be opened here */
export function requireVolume(host: SimulatedHost, cloudId: string, id: VolumeId): void {
  const volume = host.store.volumes.get(id);
  requireKeys(host, [{ id }]);
  if (volume?.cloudId !== cloudId || volume.fileBytes === null) throw gone(id);
}

const gone = (id: VolumeId) =>
  new VirgaError('HypervisorRefused', {
    detail: `The disk of volume ${id} is gone.`,
    action: 'Bring it back, such as from a backup; or delete the volume.',
  });

const inUse = (id: VolumeId, domainName: string) =>
  new VirgaError('InUse', { detail: `The domain ${domainName} has the volume ${id}.`, action: 'Take it out first.' });

const noImage = (id: string) =>
  new VirgaError('NotFound', { detail: `The image ${id} is not on this host.`, action: 'Choose another one.' });
