// Moves the root disk of an instance on its host: copies it, lets the new place count at one moment, and removes the old one. Until
// that moment it can be cancelled, and what fails is taken back; afterwards it only goes forward.
import type { DesiredMove } from '@virga/contract/agent/moves';
import { VirgaError } from '@virga/contract/errors';
import type { PoolId } from '@virga/contract/ids';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import { type ActContext, type StepContext, step, workflow } from '../../workflows/workflow.ts';
import { desiredPoolOf } from '../pools/pool.ts';
import { copyAndSwitch, finish, type MoveUnderWay, takeBack } from '../volumes/move-steps.ts';
import { about } from './instance-outcome.ts';
import { findInstance, type InstanceRow } from './instance-store.ts';
import { wakeInstance } from './instance-wake.ts';
import { moveRootDiskKind, type RootMoveInput } from './move-root-disk.ts';

type Input = RootMoveInput;

export const moveRootDiskWorkflow = workflow<Input>({
  kind: moveRootDiskKind,
  isLong: true,
  steps: [
    step<Input>({
      message: 'copying the disk',
      weight: 9,
      act: (context) => copyAndSwitch(context, underWay(context)),
      record: recordMoved,
      undo: (context) => takeBack(context, context.input.diskId),
    }),
    step<Input>({
      message: 'removing it from the old pool',
      act: (context) => finish(context, underWay(context)),
      record: forget,
    }),
  ],
  failed: forget,
});

const underWay = (context: ActContext<Input>): MoveUnderWay => ({
  table: 'root_disk_moves',
  diskId: context.input.diskId,
  desired: () => moveOf(context),
});

async function recordMoved(tx: Tx, { input, access }: StepContext<Input>): Promise<void> {
  const { instanceId: id, token } = input;
  await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
  const row = await findInstance(tx, id);
  const move = await tx
    .selectFrom('root_disk_moves as m')
    .innerJoin('pools', 'pools.id', 'm.pool_id')
    .select(['pools.id', 'pools.name', 'pools.driver'])
    .where('m.token', '=', token)
    .executeTakeFirst();
  if (!row || !move) return;
  const poolId = move.driver === 'local' ? null : move.id;
  await tx
    .updateTable('instances')
    .set({
      ...{ root_pool_id: poolId, root_moved: true, generation: row.generation + 1 },
      // Where it was launched its folder stays.
      ...(!row.root_moved && { folder_pool_id: await folderPool(tx, row) }),
      // A copy rests on nothing.
      root_clone: 'full',
    })
    .where('id', '=', id)
    .execute();
  // What it was cloned from may go.
  await tx.deleteFrom('linked_clones').where('instance_id', '=', id).execute();
  await appendEvent(tx, access, {
    ...about(row, 'instance.disk-moved'),
    message: `The root disk of instance ${row.name} lies in the pool ${move.name}.`,
    data: { from: row.root_pool_id, to: poolId },
  });
  await wakeInstance(tx, row.host_id, id);
}

/** Of a disk in Ceph the folder is in the storage of the host, as of one in no pool. */
async function folderPool(tx: Tx, { root_pool_id: id }: InstanceRow): Promise<PoolId | null> {
  if (id === null) return null;
  const { driver } = await tx.selectFrom('pools').select('driver').where('id', '=', id).executeTakeFirstOrThrow();
  return driver === 'rbd' ? null : id;
}

async function forget(tx: Tx, { input }: StepContext<Input>): Promise<void> {
  await tx.deleteFrom('root_disk_moves').where('token', '=', input.token).execute();
}

/** @throws NotFound the instance has been deleted meanwhile */
async function moveOf({ deps, input }: ActContext<Input>): Promise<DesiredMove> {
  const { db, cloudId, seal } = deps;
  const { instanceId, token } = input;
  const [row, move] = [
    await findInstance(db, instanceId),
    await db.selectFrom('root_disk_moves').selectAll().where('token', '=', token).executeTakeFirst(),
  ];
  if (!row || !move || row.desired === 'deleted') throw gone(instanceId);
  const pool = await db.selectFrom('pools').selectAll().where('id', '=', move.pool_id).executeTakeFirstOrThrow();
  const { bandwidth_bytes_per_second: bandwidthBytesPerSecond } = move;
  const desiredPool = desiredPoolOf(pool, cloudId, seal);
  return {
    token,
    isRoot: true,
    volume: {
      ...{ id: row.root_disk_id, cloudId, name: row.name, sizeBytes: row.disk_bytes, mustExist: true, keepsake: {} },
      generation: row.generation + 1,
      ...(desiredPool && { pool: desiredPool }),
    },
    holder: { id: row.id, uuid: row.uuid },
    ...(bandwidthBytesPerSecond !== null && { bandwidthBytesPerSecond }),
  };
}

const gone = (id: string) =>
  new VirgaError('NotFound', {
    detail: `The instance ${id} has been deleted while its disk was moved.`,
    action: 'Nothing needs to be done: nothing of it is left.',
  });
