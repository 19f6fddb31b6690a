// Why a volume, or a root disk, cannot be moved, as both kinds of host say it.
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';

/** A root disk has the name of its instance. */
type Named = { id: VolumeId; name: string; isRoot?: true | undefined };

const subject = ({ name, isRoot }: Named): string => (isRoot ? `The root disk of ${name}` : `Volume ${name}`);
const object = ({ name, isRoot }: Named): string => (isRoot ? `the root disk of ${name}` : `the volume ${name}`);

export const beingMoved = (disk: Named) =>
  new VirgaError('Conflict', {
    detail: `${subject(disk)} is being moved to another pool.`,
    action: `Wait until that has ended, or cancel it: virga ${disk.isRoot ? 'disks cancel-move' : 'volumes cancel-move'}.`,
  });

export const samePool = (disk: Named) =>
  new VirgaError('InvalidArgument', {
    detail: `${subject(disk)} lies in that pool already.`,
    action: 'Name another pool.',
    field: '/pool',
  });

export const sameCephPool = (disk: Named) =>
  new VirgaError('InvalidArgument', {
    detail: `${subject(disk)} cannot be moved to another cluster of Ceph into a pool of the same name: it could not be told from the old one.`,
    action: 'Move it by way of a pool that is a folder.',
    field: '/pool',
  });

export const isHibernated = (name: string) =>
  new VirgaError('Conflict', {
    detail: `The instance ${name}, which has the disk, is hibernated: its memory knows the disk where it is.`,
    action: 'Wake it first: virga start.',
  });

export const hasSnapshots = (disk: Named) =>
  new VirgaError('Conflict', {
    detail: `Snapshots rest on ${object(disk)}.`,
    action: 'Delete them first: virga snapshots.',
  });

export const beingBackedUp = (disk: Named) =>
  new VirgaError('Conflict', {
    detail: `A backup of ${object(disk)} is being made.`,
    action: 'Wait until it has ended.',
  });

export const movedAlready = (disk: Named) =>
  new VirgaError('Conflict', {
    detail: `${subject(disk)} has moved already; only its old place has yet to be removed.`,
    action: 'Move it back.',
  });

export const noSuchMove = (disk: Named) =>
  new VirgaError('NotFound', { detail: `${subject(disk)} is not being moved.`, action: 'Ask for the move again.' });

export const rootNotThere = ({ name }: Named) =>
  new VirgaError('NotFound', {
    detail: `The root disk of ${name} is not on this host.`,
    action: 'Bring its storage back, such as by mounting it.',
  });
