// Moves a volume on its host: copies it, lets the new place count at one moment, and removes the old one. Until that moment it
// can be cancelled, and what fails is taken back; afterwards it only goes forward.
import type { DesiredMove } from '@virga/contract/agent/moves';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import { type ActContext, type StepContext, step, workflow } from '../../workflows/workflow.ts';
import { desiredPoolOf } from '../pools/pool.ts';
import { copyAndSwitch, finish, takeBack } from './move-steps.ts';
import { type MoveInput, moveVolumeKind } from './move-volume.ts';
import { desiredVolumeOf } from './volume.ts';
import { preallocationIn } from './volume-shape.ts';
import { findVolume, resourceOf, type VolumeView, wakeVolume } from './volume-store.ts';

type Input = MoveInput;

const table = 'volume_moves';

export const moveVolumeWorkflow = workflow<Input>({
  kind: moveVolumeKind,
  isLong: true,
  steps: [
    step<Input>({
      message: 'copying the volume',
      weight: 9,
      act: (context) =>
        copyAndSwitch(context, { table, diskId: context.input.volumeId, desired: () => moveOf(context) }),
      record: recordMoved,
      undo: (context) => takeBack(context, context.input.volumeId),
    }),
    step<Input>({
      message: 'removing it from the old pool',
      act: (context) => finish(context, { table, diskId: context.input.volumeId }),
      record: forget,
    }),
  ],
  failed: forget,
});

async function recordMoved(tx: Tx, { input, access }: StepContext<Input>): Promise<void> {
  const row = await tx
    .selectFrom('volumes')
    .selectAll()
    .where('id', '=', input.volumeId)
    .forUpdate()
    .executeTakeFirst();
  const move = await tx.selectFrom('volume_moves').selectAll().where('token', '=', input.token).executeTakeFirst();
  if (!row || !move) return;
  const generation = row.generation + 1;
  const { driver } = await tx
    .selectFrom('pools')
    .select('driver')
    .where('id', '=', move.pool_id)
    .executeTakeFirstOrThrow();
  await tx
    .updateTable('volumes')
    .set({
      ...{ pool_id: move.pool_id, format: move.format, generation },
      preallocation: preallocationIn(driver, move.format, row.preallocation),
      // A copy rests on nothing.
      ...(row.clone === 'linked' && { clone: 'full' }),
      ...(row.converged_generation === row.generation && { converged_generation: generation }),
    })
    .where('id', '=', row.id)
    .execute();
  const { pool_name: pool } = (await findVolume(tx, row.id))!;
  await appendEvent(tx, access, {
    type: 'volume.moved',
    ...resourceOf(row),
    message: `Volume ${row.name} lies in the pool ${pool}.`,
    data: { from: row.pool_id, to: move.pool_id, format: move.format },
  });
  // One that is being deleted meanwhile.
  await wakeVolume(tx, row.id);
}

async function forget(tx: Tx, { input }: StepContext<Input>): Promise<void> {
  await tx.deleteFrom('volume_moves').where('token', '=', input.token).execute();
}

/** @throws NotFound the volume has been deleted meanwhile */
async function moveOf({ deps, input: { volumeId, token } }: ActContext<Input>): Promise<DesiredMove> {
  const { db, cloudId, seal } = deps;
  const [row, move] = [
    await findVolume(db, volumeId),
    await db.selectFrom('volume_moves').selectAll().where('token', '=', token).executeTakeFirst(),
  ];
  if (!row || !move || row.desired === 'deleted') throw gone(volumeId);
  const pool = await db.selectFrom('pools').selectAll().where('id', '=', move.pool_id).executeTakeFirstOrThrow();
  const clone = row.clone === 'linked' ? 'full' : row.clone;
  const preallocation = preallocationIn(pool.driver, move.format, row.preallocation);
  const as = { pool_id: move.pool_id, format: move.format, preallocation, clone };
  const after = { ...row, ...as, generation: row.generation + 1 };
  const volume: DesiredVolume = desiredVolumeOf(after, cloudId, desiredPoolOf(pool, cloudId, seal), seal);
  return {
    token,
    volume,
    holder: await holderOf(db, row),
    ...(move.bandwidth_bytes_per_second !== null && { bandwidthBytesPerSecond: move.bandwidth_bytes_per_second }),
  };
}

async function holderOf(db: Deps['db'], { attachment }: VolumeView): Promise<DesiredMove['holder']> {
  if (attachment === null) return null;
  const { instanceId: id } = attachment;
  const row = await db.selectFrom('instances').select('uuid').where('id', '=', id).executeTakeFirst();
  return row ? { id, uuid: row.uuid } : null;
}

const gone = (id: string) =>
  new VirgaError('NotFound', {
    detail: `The volume ${id} has been deleted while it was moved.`,
    action: 'Nothing needs to be done: nothing of it is left.',
  });
