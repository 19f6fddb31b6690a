// Moves a volume on its host: copies it, lets the new place count at one moment, and removes the old one. Until that moment it
// can be cancelled, and what fails is taken back; afterwards it only goes forward.
import type { DesiredMove } from '@virga/contract/agent/moves';
import type { DesiredVolume } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import { untilCancelled } from '../../workflows/until-cancelled.ts';
import { type ActContext, type StepContext, step, workflow } from '../../workflows/workflow.ts';
import { desiredPoolOf } from '../pools/pool.ts';
import { type MoveInput, moveVolumeKind } from './move-volume.ts';
import { desiredVolumeOf } from './volume.ts';
import { findVolume, resourceOf, type VolumeView, wakeVolume } from './volume-store.ts';

type Input = MoveInput;

export const moveVolumeWorkflow = workflow<Input>({
  kind: moveVolumeKind,
  isLong: true,
  steps: [
    step<Input>({ message: 'copying the volume', weight: 9, act: copyAndSwitch, record: recordMoved, undo: takeBack }),
    step<Input>({ message: 'removing it from the old pool', act: finish, record: forget }),
  ],
  failed: forget,
});

async function copyAndSwitch(context: ActContext<Input>): Promise<void> {
  const { deps, input, signal, onProgress } = context;
  const agent = deps.agents.agentOf(input.hostId);
  const isCancelled = async () => {
    const row = await deps.db
      .selectFrom('volume_moves')
      .select('is_cancelled')
      .where('token', '=', input.token)
      .executeTakeFirst();
    return row?.is_cancelled ?? false;
  };
  await untilCancelled(
    context,
    { channel: 'volumes', id: input.volumeId, isCancelled, error: cancelled },
    async (wanted) => {
      for (let isSwitched = false; !isSwitched; ) {
        wanted.throwIfAborted();
        const move = await moveOf(deps, input);
        await agent.copyVolume(move, { signal: wanted, onProgress });
        await beginSwitch(deps, input);
        isSwitched = await agent.switchVolume(move, { signal });
        if (!isSwitched) await setSwitching(deps, input, false);
      }
    },
  );
}

/** From here on it is not cancelled any more. @throws Conflict it has been */
async function beginSwitch(deps: Deps, input: Input): Promise<void> {
  if (!(await setSwitching(deps, input, true))) throw cancelled();
}

async function setSwitching({ db }: Deps, { token }: Input, isSwitching: boolean): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('volume_moves')
    .set({ is_switching: isSwitching })
    .where('token', '=', token)
    .where('is_cancelled', '=', false)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

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
  await tx
    .updateTable('volumes')
    .set({
      ...{ pool_id: move.pool_id, format: move.format, generation },
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

async function takeBack({ deps, input, signal }: ActContext<Input>): Promise<void> {
  const { token, volumeId } = input;
  await deps.agents.agentOf(input.hostId).cancelMove({ token, volumeId, cloudId: deps.cloudId }, { signal });
}

/** Nothing but patience helps when that fails: there is no way back. */
async function finish({ deps, input, signal, onProgress }: ActContext<Input>): Promise<void> {
  const { token, volumeId } = input;
  const move = await deps.db.selectFrom('volume_moves').select('wipe').where('token', '=', token).executeTakeFirst();
  try {
    const agent = deps.agents.agentOf(input.hostId);
    const wipe = move?.wipe ? { wipe: 'zero' as const } : {};
    await agent.finishMove({ token, volumeId, cloudId: deps.cloudId, ...wipe }, { signal, onProgress });
  } catch (error) {
    if (!(error instanceof VirgaError)) throw error;
    const { detail, action } = error;
    throw new VirgaError('HostUnavailable', { detail, action, cause: error });
  }
}

async function forget(tx: Tx, { input }: StepContext<Input>): Promise<void> {
  await tx.deleteFrom('volume_moves').where('token', '=', input.token).execute();
}

/** @throws NotFound the volume has been deleted meanwhile */
async function moveOf({ db, cloudId, seal }: Deps, { volumeId, token }: Input): Promise<DesiredMove> {
  const [row, move] = [
    await findVolume(db, volumeId),
    await db.selectFrom('volume_moves').selectAll().where('token', '=', token).executeTakeFirst(),
  ];
  if (!row || !move || row.desired === 'deleted') throw gone(volumeId);
  const pool = await db.selectFrom('pools').selectAll().where('id', '=', move.pool_id).executeTakeFirstOrThrow();
  const clone = row.clone === 'linked' ? 'full' : row.clone;
  const after = { ...row, pool_id: move.pool_id, format: move.format, clone, generation: row.generation + 1 };
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

const cancelled = (cause?: unknown) =>
  new VirgaError('Conflict', {
    detail: 'The move was cancelled.',
    action: 'Nothing needs to be done: the volume is as it was.',
    cause,
  });

const gone = (id: string) =>
  new VirgaError('NotFound', {
    detail: `The volume ${id} has been deleted while it was moved.`,
    action: 'Nothing needs to be done: nothing of it is left.',
  });
