// Images in the store of a simulated host. Real files are looked at, nothing of them is kept but what they are.
import type { DesiredImage } from '@virga/contract/agent/desired';
import type { ObservedImage } from '@virga/contract/agent/observed';
import { VirgaError } from '@virga/contract/errors';
import type { ImageId } from '@virga/contract/ids';
import type { CallSteps } from './call-steps.ts';
import { devicesOf, type StoredDomain, type StoredImage } from './host-records.ts';
import { requireSpace } from './host-rules.ts';
import { inspectImage } from './image-file.ts';
import { fetchFile, forgetUpload } from './simulated-fetching.ts';
import type { SimulatedHost } from './simulated-host.ts';

export async function importImage(
  host: SimulatedHost,
  desired: DesiredImage,
  steps: CallSteps,
): Promise<ObservedImage> {
  const { id, cloudId, generation, format, keepsake: given } = desired;
  const kept = given && { keepsake: given };
  const { images } = host.store;
  const present = images.get(id);
  if (present !== undefined) {
    if (present.cloudId !== cloudId) throw somebodyElses(id);
    const { keepsake } = desired;
    const image = keepsake === undefined ? present : { ...present, keepsake };
    images.set(id, image);
    return toObservedImage(image);
  }
  const { source } = desired;
  const file =
    source.kind === 'file' ? await inspectImage({ ...desired, source }) : await fetchFile(host, { ...desired, source });
  requireSpace(host, file.fileSizeBytes);
  steps.undo.add('image', async () => images.delete(id));
  await steps.take('copy-image', 10, steps.timings.imageMs, () => requireSpace(host, file.fileSizeBytes));
  await steps.take('check-image', 80, 0, () => undefined);
  await steps.take('name-image', 90, 0, () => images.set(id, { id, cloudId, generation, format, ...file, ...kept }));
  forgetUpload(host, desired);
  return toObservedImage(images.get(id)!);
}

/** In the drive of its guest, or to be there. */
const hasDisc = (domain: StoredDomain, id: ImageId): boolean =>
  domain.record.desired.cdrom?.imageId === id || devicesOf(domain).cdrom?.imageId === id;

/** Removes an image of this cloud. Nothing there is success. @throws InUse disks rest on it, or it is in a drive */
export async function removeImage(
  host: SimulatedHost,
  { id, cloudId }: { id: ImageId; cloudId: string },
  steps: CallSteps,
): Promise<void> {
  forgetUpload(host, { id, cloudId });
  if (host.store.images.get(id)?.cloudId !== cloudId) return;
  const clone = host.store.folders.all().find(({ owner }) => owner.imageId === id);
  if (clone !== undefined) throw inUse(id, clone.owner.id);
  if (host.store.templates.all().some((template) => template.imageId === id)) throw isKeptWarm(id);
  const volume = host.store.volumes.all().find(({ source }) => source?.clone === 'linked' && source.imageId === id);
  if (volume !== undefined) throw isBelow(id, volume.id);
  const drive = host.store.domains.all().find((domain) => hasDisc(domain, id));
  if (drive !== undefined) throw isInserted(id, drive.record.instanceId);
  await steps.take('delete-image', 50, 0, () => host.store.images.delete(id));
}

export function toObservedImage({
  id,
  cloudId,
  virtualSizeBytes,
  fileSizeBytes,
  format,
  sha256,
  verification,
  keepsake,
}: StoredImage): ObservedImage {
  const known = { id, cloudId, virtualSizeBytes, fileSizeBytes, format, sha256 };
  const image = verification ? { ...known, verification } : known;
  return keepsake ? { ...image, keepsake } : image;
}

function somebodyElses(id: ImageId): VirgaError {
  return new VirgaError('Conflict', {
    detail: `The image ${id} on the host belongs to another cloud.`,
    action: 'Import the file again as a new image.',
  });
}

function isBelow(id: ImageId, volume: string): VirgaError {
  return new VirgaError('InUse', {
    detail: `The volume ${volume} is a linked clone of the image ${id}, and rests on it.`,
    action: 'Delete that volume first; a full clone would not need the image.',
  });
}

function isKeptWarm(id: ImageId): VirgaError {
  return new VirgaError('InUse', {
    detail: `A running guest of the image ${id} is kept for instant launches.`,
    action: 'Drop it first: virga images cool.',
  });
}

function isInserted(id: ImageId, instanceId: string): VirgaError {
  return new VirgaError('InUse', {
    detail: `The image ${id} is in the CD-ROM drive of ${instanceId}.`,
    action: 'Eject it first: virga cdrom eject.',
  });
}

function inUse(id: ImageId, instanceId: string): VirgaError {
  return new VirgaError('InUse', {
    detail: `The disk of ${instanceId} rests on the image ${id}.`,
    action: 'Delete the instances made from it first.',
  });
}
