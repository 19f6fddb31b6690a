// Why a change of a volume is refused.
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import type { Tx } from '../../store/database.ts';
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

/** @throws Conflict one of them is on its way to another pool */
export async function refuseAnyMoving(tx: Tx, volumes: readonly { id: VolumeId }[]): Promise<void> {
  if (volumes.length === 0) return;
  const found = await tx
    .selectFrom('volume_moves as m')
    .innerJoin('volumes', 'volumes.id', 'm.volume_id')
    .innerJoin('pools', 'pools.id', 'm.pool_id')
    .select(['volumes.name', 'm.pool_id as poolId', 'pools.name as poolName', 'm.operation_id as operationId'])
    .where(
      'm.volume_id',
      'in',
      volumes.map(({ id }) => id),
    )
    .limit(1)
    .executeTakeFirst();
  if (found) refuseMoving({ name: found.name, move: found });
}

export const beingDeleted = ({ name }: VolumeView) =>
  new VirgaError('Conflict', { detail: `Volume ${name} is being deleted.`, action: 'Create another one.' });

export const isProtected = ({ name }: Pick<VolumeView, 'name'>) =>
  new VirgaError('Conflict', {
    detail: `Volume ${name} is protected from being deleted.`,
    action: `Take that away first: virga volumes set ${name} --no-protect`,
  });
