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
