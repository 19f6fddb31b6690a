// Volumes of a simulated host: made, grown, removed, told. The same refusals as on a real one.
import type { DesiredVolume, ObservedVolume } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import { volumeNotOurs, volumeOvertaken } from '../volume-conflicts.ts';
import type { CallSteps } from './call-steps.ts';
import { devicesOf, type StoredVolume } from './host-records.ts';
import { requireSpace } from './host-rules.ts';
import type { SimulatedHost } from './simulated-host.ts';

/** What an empty disk takes. */
const emptyDiskBytes = 256 * 1024;

export async function applyVolume(
  host: SimulatedHost,
  { mustExist, ...desired }: DesiredVolume,
  steps: CallSteps,
): Promise<ObservedVolume> {
  const { volumes } = host.store;
  const present = volumes.get(desired.id);
  if (present !== undefined && present.cloudId !== desired.cloudId) throw volumeNotOurs(desired.id);
  if (present !== undefined && present.generation > desired.generation)
    throw volumeOvertaken(present.generation, desired);
  if (present === undefined) {
    if (mustExist) throw gone(desired.id);
    await steps.take('volume', 20, steps.timings.rootDiskMs, () => {
      requireSpace(host, emptyDiskBytes);
      volumes.set(desired.id, { ...desired, fileBytes: emptyDiskBytes });
    });
  } else {
    if (present.fileBytes === null) throw gone(desired.id);
    const sizeBytes = Math.max(present.sizeBytes, desired.sizeBytes);
    const record = { ...desired, sizeBytes, fileBytes: present.fileBytes };
    if (sizeBytes > present.sizeBytes) await steps.take('grow-volume', 50, 0, () => volumes.set(desired.id, record));
    else volumes.set(desired.id, record);
  }
  return observeVolume(volumes.get(desired.id)!);
}

/** Removes a volume of this cloud. Nothing there is success. @throws InUse */
export async function removeVolume(
  host: SimulatedHost,
  { id, cloudId }: { id: VolumeId; cloudId: string },
  steps: CallSteps,
): Promise<void> {
  if (host.store.volumes.get(id)?.cloudId !== cloudId) return;
  const holder = host.store.domains
    .all()
    .find((domain) => devicesOf(domain).volumes.some((volume) => volume.id === id));
  if (holder !== undefined) throw inUse(id, holder.record.desired.domainName);
  await steps.take('delete-volume', 50, 0, () => host.store.volumes.delete(id));
}

export function observeVolume({ fileBytes, ...volume }: StoredVolume): ObservedVolume {
  return { ...volume, intact: fileBytes !== null };
}

/** @throws HypervisorRefused it is not on this host, or has lost its disk */
export function requireVolume(host: SimulatedHost, cloudId: string, id: VolumeId): void {
  const volume = host.store.volumes.get(id);
  if (volume?.cloudId !== cloudId || volume.fileBytes === null) throw gone(id);
}

const gone = (id: VolumeId) =>
  new VirgaError('HypervisorRefused', {
    detail: `The disk of volume ${id} is gone.`,
    action: 'Bring it back, such as from a backup; or delete the volume.',
  });

const inUse = (id: VolumeId, domainName: string) =>
  new VirgaError('InUse', { detail: `The domain ${domainName} has the volume ${id}.`, action: 'Take it out first.' });
