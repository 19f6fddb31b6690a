// What is refused of backups on any host.
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';

export const nothingThere = (path: string) =>
  new VirgaError('NotFound', {
    detail: `There is no file and no folder ${path} in the backup.`,
    action: 'Look at the folder above it.',
    field: '/path',
  });

const forms = {
  encrypted: 'is encrypted, and what is fetched is not',
  raw: 'is raw, and what is fetched is qcow2',
  elsewhere: 'lies on another file system than what is fetched',
};

/** What is fetched is a plain qcow2, and takes a place by being renamed. */
export const otherForm = (id: VolumeId, form: keyof typeof forms) =>
  new VirgaError('Conflict', {
    detail: `The disk ${id} ${forms[form]}: it cannot be replaced.`,
    action: 'Restore the backup as a new instance.',
  });

export const snapshotsLost = (id: VolumeId) =>
  new VirgaError('Conflict', {
    detail: `There are snapshots of the disk ${id}, which would be lost.`,
    action: 'Delete them first, or restore the backup as a new instance.',
  });
