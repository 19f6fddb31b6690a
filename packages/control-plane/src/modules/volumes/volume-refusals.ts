// Why a change of a volume is refused.
import { VirgaError } from '@virga/contract/errors';
import type { VolumeView } from './volume-store.ts';

export function refuseChanged(row: VolumeView, ifMatch: number | undefined): void {
  if (ifMatch === undefined || ifMatch === row.generation) return;
  throw new VirgaError('PreconditionFailed', {
    detail: `Volume ${row.name} has changed since it was read: it is at generation ${row.generation}.`,
    action: 'Read it again, and repeat the request if it still makes sense.',
  });
}

/** What is being copied stays as it is until then. */
export function refuseMoving({ name, move }: Pick<VolumeView, 'name' | 'move'>, field?: string): void {
  if (move === null) return;
  throw new VirgaError('Conflict', {
    detail: `Volume ${name} is being moved to the pool ${move.poolName}.`,
    action: `Wait until that has ended, or cancel it: virga volumes cancel-move ${name}`,
    field,
  });
}

export const beingDeleted = ({ name }: VolumeView) =>
  new VirgaError('Conflict', { detail: `Volume ${name} is being deleted.`, action: 'Create another one.' });

export const isProtected = ({ name }: Pick<VolumeView, 'name'>) =>
  new VirgaError('Conflict', {
    detail: `Volume ${name} is protected from being deleted.`,
    action: `Take that away first: virga volumes set ${name} --no-protect`,
  });
