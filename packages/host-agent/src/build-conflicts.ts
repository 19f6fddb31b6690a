// Why a host makes no image of a disk, or does not look into it: the sentences of both kinds of host, once.
import { VirgaError } from '@virga/contract/errors';
import type { ImageId, InstanceId } from '@virga/contract/ids';

export const imageTaken = (id: ImageId) =>
  new VirgaError('Conflict', {
    detail: `The image ${id} on the host belongs to another cloud.`,
    action: 'Make it under another id.',
  });

export const noDomainOf = (id: InstanceId) =>
  new VirgaError('NotFound', { detail: `There is no domain of ${id} on the host.`, action: 'Look at virga show.' });

export const instanceRuns = (name: string) => notOff(name, 'runs');
export const instanceHibernated = (name: string) =>
  notOff(name, 'is hibernated: its disk is not whole without its memory');

const notOff = (name: string, why: string) =>
  new VirgaError('Conflict', {
    detail: `Instance ${name} ${why}.`,
    action: `Stop it first, and start it again afterwards: virga stop ${name} --wait.`,
  });

export const diskElsewhere = (name: string) =>
  new VirgaError('Conflict', {
    detail: `The root disk of ${name} is not a file of this cloud: it was adopted, or somebody has changed its definition.`,
    action: 'Register its file: virga images register.',
  });
