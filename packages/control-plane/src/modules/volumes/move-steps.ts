// What moves of volumes and of root disks have in common: the host copies, lets the new place count at one moment, and removes the old
// one. Until that moment it can be cancelled; afterwards it only goes forward.
import type { DesiredMove } from '@virga/contract/agent/moves';
import { VirgaError } from '@virga/contract/errors';
import type { HostId, VolumeId } from '@virga/contract/ids';
import { untilCancelled } from '../../workflows/until-cancelled.ts';
import type { ActContext } from '../../workflows/workflow.ts';

type Input = { hostId: HostId; token: string };
type Table = 'volume_moves' | 'root_disk_moves';

export type MoveUnderWay = {
  table: Table;
  diskId: VolumeId;
  /** As the host is to have it. @throws NotFound it has been deleted meanwhile */
  desired(): Promise<DesiredMove>;
};

/** @throws Conflict it was cancelled */
export async function copyAndSwitch(
  context: ActContext<Input>,
  { table, diskId, desired }: MoveUnderWay,
): Promise<void> {
  const { deps, input, signal, onProgress } = context;
  const agent = deps.agents.agentOf(input.hostId);
  const isCancelled = async () => {
    const row = await deps.db
      .selectFrom(table)
      .select('is_cancelled')
      .where('token', '=', input.token)
      .executeTakeFirst();
    return row?.is_cancelled ?? false;
  };
  await untilCancelled(context, { channel: 'volumes', id: diskId, isCancelled, error: cancelled }, async (wanted) => {
    for (let isSwitched = false; !isSwitched; ) {
      wanted.throwIfAborted();
      const move = await desired();
      await agent.copyVolume(move, { signal: wanted, onProgress });
      // From here on it is not cancelled any more.
      if (!(await setSwitching(context, table, true))) throw cancelled();
      isSwitched = await agent.switchVolume(move, { signal });
      if (!isSwitched) await setSwitching(context, table, false);
    }
  });
}

/** @returns false: it has been cancelled */
async function setSwitching(
  { deps: { db }, input: { token } }: ActContext<Input>,
  table: Table,
  isSwitching: boolean,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable(table)
    .set({ is_switching: isSwitching })
    .where('token', '=', token)
    .where('is_cancelled', '=', false)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

export async function takeBack({ deps, input, signal }: ActContext<Input>, volumeId: VolumeId): Promise<void> {
  const { token, hostId } = input;
  await deps.agents.agentOf(hostId).cancelMove({ token, volumeId, cloudId: deps.cloudId }, { signal });
}

/** Nothing but patience helps when that fails: there is no way back. */
export async function finish(
  { deps, input, signal, onProgress }: ActContext<Input>,
  { table, diskId: volumeId }: Pick<MoveUnderWay, 'table' | 'diskId'>,
): Promise<void> {
  const { token, hostId } = input;
  const move = await deps.db.selectFrom(table).select('wipe').where('token', '=', token).executeTakeFirst();
  try {
    const agent = deps.agents.agentOf(hostId);
    const wipe = move?.wipe ? { wipe: 'zero' as const } : {};
    await agent.finishMove({ token, volumeId, cloudId: deps.cloudId, ...wipe }, { signal, onProgress });
  } catch (error) {
    if (!(error instanceof VirgaError)) throw error;
    const { detail, action } = error;
    throw new VirgaError('HostUnavailable', { detail, action, cause: error });
  }
}

const cancelled = (cause?: unknown) =>
  new VirgaError('Conflict', {
    detail: 'The move was cancelled.',
    action: 'Nothing needs to be done: the disk is as it was.',
    cause,
  });
