// What fronts call to move a volume to another pool, and to cancel that. Writes down what is wanted and what it takes in the new
// pool, after all that can be known to stand in its way has been looked at; the workflow does the rest.
import { randomUUID } from 'node:crypto';
import { VirgaError } from '@virga/contract/errors';
import type { OperationId, VolumeId } from '@virga/contract/ids';
import type { MoveVolume } from '@virga/contract/rest/volume-moves';
import type { Volume } from '@virga/contract/rest/volumes';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { targetPool } from '../pools/target-pool.ts';
import { refuseHindrances } from './move-hindrances.ts';
import { refuseChanged } from './volume-refusals.ts';
import { requirePoolRoom } from './volume-room.ts';
import { preallocationIn, refuseImpossibleShape } from './volume-shape.ts';
import { findVolume, holdVolume, resourceOf, toVolume, type VolumeView, wakeVolume } from './volume-store.ts';

export const moveVolumeKind = 'volume.move';

export type MoveInput = { volumeId: VolumeId; hostId: Volume['hostId']; token: string };

type Changed = { volume: Volume; operationId: OperationId };

/**
 * Moves a volume, also while a guest writes to it. One that cannot be moved stays as it is, and the operation says why.
 * @throws NotFound the volume, or the pool on its host | InvalidArgument it lies there already, or cannot be so there |
 *   Conflict something stands in its way now | StorageFull | PoolUnusable | PreconditionFailed | IdempotencyMismatch
 */
export async function moveVolume(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: VolumeId,
  body: MoveVolume,
  { ifMatch, idempotency }: { ifMatch?: number | undefined; idempotency?: Idempotency | undefined } = {},
): Promise<Changed> {
  return onceOnly(deps.db, idempotency, async (tx) => {
    const row = await holdVolume(tx, access, id);
    refuseChanged(row, ifMatch);
    await refuseHindrances(tx, row);
    const pool = await targetPool(tx, `Volume ${row.name}`, row, body.pool);
    const isCeph = pool.driver === 'rbd';
    const encrypted = row.passphrase_sealed !== null;
    const format = body.format ?? (isCeph ? 'raw' : encrypted ? 'qcow2' : row.format);
    // Ceph takes what is written; back in a folder it is as it was made.
    const preallocation = isCeph ? 'off' : preallocationIn(pool.driver, format, row.preallocation);
    refuseImpossibleShape({ format, preallocation, encrypted, driver: pool.driver });
    const takesAll = preallocation === 'falloc' || preallocation === 'full';
    const takenBytes = takesAll ? row.size_bytes : (row.used_bytes ?? 0);
    await requirePoolRoom(tx, pool.id, { addBytes: row.size_bytes, takenBytes }, '/pool');
    const token = randomUUID();
    const input: MoveInput = { volumeId: id, hostId: row.host_id, token };
    const operationId = await startWorkflow(tx, access, moveVolumeKind, resourceOf(row), input);
    await tx
      .insertInto('volume_moves')
      .values({
        ...{ volume_id: id, token, operation_id: operationId, pool_id: pool.id, format, wipe: body.wipe ?? false },
        bandwidth_bytes_per_second: body.bandwidthBytesPerSecond ?? null,
      })
      .execute();
    await appendEvent(tx, access, {
      type: 'volume.move-requested',
      ...resourceOf(row),
      message: `The move of volume ${row.name} from pool ${row.pool_name} to ${pool.name} was asked for.`,
      data: { from: row.pool_id, to: pool.id, format },
    });
    return { volume: toVolume((await findVolume(tx, id))!), operationId };
  });
}

/** Cancels a move; all is as before it when its operation has ended. @throws NotFound | Conflict there is none, or it is at its end */
export async function cancelVolumeMove(deps: Deps, access: ProjectAccess<'operator'>, id: VolumeId): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    const row = await holdVolume(tx, access, id);
    const move = await tx
      .selectFrom('volume_moves')
      .selectAll()
      .where('volume_id', '=', id)
      .forUpdate()
      .executeTakeFirst();
    if (move === undefined) throw notMoving(row);
    if (move.is_switching) throw atItsEnd(row);
    const answer = { volume: toVolume(row), operationId: move.operation_id };
    if (move.is_cancelled) return answer;
    await tx.updateTable('volume_moves').set({ is_cancelled: true }).where('volume_id', '=', id).execute();
    await appendEvent(tx, access, {
      type: 'volume.move-cancelled',
      ...resourceOf(row),
      message: `The move of volume ${row.name} was cancelled.`,
    });
    await wakeVolume(tx, id);
    return answer;
  });
}

const notMoving = ({ name }: VolumeView) =>
  new VirgaError('Conflict', {
    detail: `Volume ${name} is not being moved.`,
    action: 'See where it lies: virga volumes.',
  });

const atItsEnd = ({ name, pool_name: pool }: VolumeView) =>
  new VirgaError('Conflict', {
    detail: `The move of volume ${name} is at its end, and cannot be cancelled any more.`,
    action: `Wait until it has ended, and move it back: virga volumes move ${name} --pool ${pool}`,
  });
