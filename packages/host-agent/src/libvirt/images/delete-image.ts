// Removes an image from the host. Refuses while a disk rests on it; an image of another cloud is left alone.
import { VirgaError } from '@virga/contract/errors';
import type { ImageId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { findDrivesOf } from '../instances/disc-claims.ts';
import { findClonesOf } from '../instances/instance-folder.ts';
import { storageError } from '../storage.ts';
import { findVolumesOn } from '../volumes/volume-folder.ts';
import { findTemplatesOf } from '../warm/template-store.ts';
import { findImage, removeImage } from './image-store.ts';

/** Idempotent. @throws InUse an instance's disk rests on it, or it is in a drive */
export function deleteImage(
  { storage, locks, hook }: AgentContext,
  { id, cloudId }: { id: ImageId; cloudId: string },
): Promise<void> {
  return locks.run(id, async () => {
    const image = await findImage(storage, id);
    if (image !== undefined && image.cloudId !== cloudId) return;
    const clones = await findClonesOf(storage, id);
    if (clones.length > 0) throw inUse(id, clones);
    const [template] = await findTemplatesOf(storage, id);
    if (template !== undefined) throw isKeptWarm(id);
    const [volume] = await findVolumesOn(storage, id);
    if (volume !== undefined) throw isBelow(id, volume);
    const [drive] = await findDrivesOf(storage, id);
    if (drive !== undefined) throw isInserted(id, drive);
    await hook('delete-image', id);
    try {
      await removeImage(storage, id, cloudId);
    } catch (error) {
      throw storageError(error, storage, 'remove an image');
    }
  });
}

const isKeptWarm = (id: ImageId) =>
  new VirgaError('InUse', {
    detail: `A running guest of the image ${id} is kept for instant launches.`,
    action: 'Drop it first: virga images cool.',
  });

const isBelow = (id: ImageId, volume: string) =>
  new VirgaError('InUse', {
    detail: `The volume ${volume} is a linked clone of the image ${id}, and rests on it.`,
    action: 'Delete that volume first; a full clone would not need the image.',
  });

const isInserted = (id: ImageId, instance: string) =>
  new VirgaError('InUse', {
    detail: `The image ${id} is in the CD-ROM drive of ${instance}.`,
    action: 'Eject it first: virga cdrom eject.',
  });

const inUse = (id: ImageId, clones: readonly string[]) =>
  new VirgaError('InUse', {
    detail: `The disks of ${clones.length} instances rest on the image ${id}, such as that of ${clones[0]}.`,
    action: 'Delete those instances first.',
  });
