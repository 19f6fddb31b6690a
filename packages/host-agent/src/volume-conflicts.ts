// What both kinds of host refuse to do to a volume.
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';

export const volumeNotOurs = (id: VolumeId) =>
  new VirgaError('Conflict', {
    detail: `The volume ${id} on the host belongs to another cloud.`,
    action: 'Create another one.',
  });

export const volumeOvertaken = (applied: number, { id, generation }: Pick<DesiredVolume, 'id' | 'generation'>) =>
  new VirgaError('Conflict', {
    detail: `The volume ${id} is at generation ${applied} already; ${generation} is older.`,
    action: 'Nothing: the newer request holds.',
  });

/** Encrypted volumes are opened with what the server has given since the host, or its agent, began. */
export const noPassphrase = (id: VolumeId) =>
  new VirgaError('NotFound', {
    detail: `The host has no passphrase of the volume ${id}: it keeps them in memory only.`,
    action: 'It is given by the server; try again in a moment.',
  });
