// What stands in the way of moving a root disk as far as the database knows, what a move stands in the way of, and how one ends.
import { VirgaError } from '@virga/contract/errors';
import { sql } from 'kysely';
import type { Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { refuseAnyMoving } from '../volumes/volume-refusals.ts';
import type { InstanceRow } from './instance-store.ts';

/** @throws Conflict its root disk is on its way to another pool */
export function refuseRootMoving({ name, root_move: move }: Pick<InstanceRow, 'name' | 'root_move'>): void {
  if (move === null) return;
  throw conflict(
    `The root disk of instance ${name} is being moved to the pool ${move.poolName}.`,
    `Wait until that has ended, or cancel it: virga disks cancel-move ${name}`,
  );
}

/** @throws Conflict one of its disks is on its way to another pool */
export async function refuseDisksMoving(
  tx: Tx,
  row: Pick<InstanceRow, 'name' | 'root_move' | 'volumes'>,
): Promise<void> {
  refuseRootMoving(row);
  await refuseAnyMoving(tx, row.volumes);
}

/** Until the new place counts. @returns false: there is none, or it is too late */
export async function cancelRootMove(
  tx: Tx,
  { id, root_disk_id: diskId }: Pick<InstanceRow, 'id' | 'root_disk_id'>,
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('root_disk_moves')
    .set({ is_cancelled: true })
    .where('instance_id', '=', id)
    .where('is_switching', '=', false)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) return false;
  await notify(tx, 'volumes', diskId);
  return true;
}

/** @param row held @throws Conflict */
export async function refuseRootHindrances(tx: Tx, row: InstanceRow): Promise<void> {
  const { id, name } = row;
  refuseRootMoving(row);
  if (row.origin === 'adopted') {
    throw conflict(
      `Instance ${name} was adopted, and its disks are where its own definition says.`,
      `Move it with virsh blockcopy, or change the definition: virga edit ${name}.`,
    );
  }
  if (row.desired === 'deleted') throw conflict(`Instance ${name} is being deleted.`, 'Launch another one.');
  if (row.converged_generation === 0) {
    throw conflict(`Instance ${name} is still being launched.`, 'Wait until that has ended.');
  }
  if (row.state === 'hibernated' || row.desired === 'hibernated') {
    throw conflict(
      `Instance ${name} is ${row.state}: its memory knows the disk where it is.`,
      `Wake it first: virga start ${name}`,
    );
  }
  const snapshot = await tx
    .selectFrom('snapshots')
    .select('name')
    .where((where) =>
      where.or([
        sql<boolean>`disks @> ${JSON.stringify([{ id: row.root_disk_id }])}::jsonb`,
        // It is not known yet which disks it has.
        where.and([where('instance_id', '=', id), where('state', '=', 'creating')]),
      ]),
    )
    .limit(1)
    .executeTakeFirst();
  if (snapshot) {
    throw conflict(
      `The snapshot ${snapshot.name} rests on the root disk of instance ${name}.`,
      `Delete it first: virga snapshots delete ${snapshot.name}`,
    );
  }
  const backup = await tx
    .selectFrom('backups')
    .select('id')
    .where('instance_id', '=', id)
    .where('state', '=', 'pending')
    .limit(1)
    .executeTakeFirst();
  if (backup) throw conflict(`A backup of instance ${name} is being made.`, 'Wait until it has ended.');
}

const conflict = (detail: string, action: string) => new VirgaError('Conflict', { detail, action });
