// Why a volume cannot be moved, as both kinds of host say it.
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';

type Named = { id: VolumeId; name: string };

export const beingMoved = ({ name }: Named) =>
  new VirgaError('Conflict', {
    detail: `Volume ${name} is being moved to another pool.`,
    action: 'Wait until that has ended, or cancel it: virga volumes cancel-move.',
  });

export const samePool = ({ name }: Named) =>
  new VirgaError('InvalidArgument', {
    detail: `Volume ${name} lies in that pool already.`,
    action: 'Name another pool.',
    field: '/pool',
  });

export const sameCephPool = ({ name }: Named) =>
  new VirgaError('InvalidArgument', {
    detail: `Volume ${name} cannot be moved to another cluster of Ceph into a pool of the same name: it could not be told from the old one.`,
    action: 'Move it by way of a pool that is a folder.',
    field: '/pool',
  });

export const isHibernated = (name: string) =>
  new VirgaError('Conflict', {
    detail: `The instance ${name}, which has the volume, is hibernated: its memory knows the disk where it is.`,
    action: 'Wake it first: virga start.',
  });

export const hasSnapshots = ({ name }: Named) =>
  new VirgaError('Conflict', {
    detail: `Snapshots rest on the volume ${name}.`,
    action: 'Delete them first: virga snapshots.',
  });

export const beingBackedUp = ({ name }: Named) =>
  new VirgaError('Conflict', {
    detail: `A backup of the volume ${name} is being made.`,
    action: 'Wait until it has ended.',
  });

export const movedAlready = ({ name }: Named) =>
  new VirgaError('Conflict', {
    detail: `Volume ${name} has moved already; only its old place has yet to be removed.`,
    action: 'Move it back.',
  });

export const noSuchMove = ({ name }: Named) =>
  new VirgaError('NotFound', { detail: `Volume ${name} is not being moved.`, action: 'Ask for the move again.' });
