// What fronts call to move the root disk of an instance to another pool, and to cancel that: as of volumes, the room is taken in
// the new pool first, and the workflow does the rest.
import { randomUUID } from 'node:crypto';
import { VirgaError } from '@virga/contract/errors';
import type { HostId, InstanceId, OperationId, VolumeId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import type { MoveRootDisk } from '@virga/contract/rest/root-disk-moves';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Tx } from '../../store/database.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { targetPool } from '../pools/target-pool.ts';
import { requirePoolRoom } from '../volumes/volume-room.ts';
import { change } from './instance-operations.ts';
import { about } from './instance-outcome.ts';
import type { InstanceRow } from './instance-store.ts';
import { cancelRootMove, refuseRootHindrances } from './root-disk-moves.ts';

export const moveRootDiskKind = 'instance.move-disk';

export type RootMoveInput = { instanceId: InstanceId; diskId: VolumeId; hostId: HostId; token: string };

type Changed = { instance: Instance; operationId: OperationId };

/**
 * Moves the root disk, also while the guest writes to it; one that rests on its image becomes a copy of its own. One that cannot
 * be moved stays as it is, and the operation says why.
 * @throws NotFound the instance, or the pool on its host | InvalidArgument it lies there already |
 *   Conflict something stands in its way now | StorageFull | PoolUnusable | PreconditionFailed
 */
export async function moveRootDisk(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  body: MoveRootDisk,
  ifMatch?: number,
): Promise<Changed> {
  return change(deps, access, id, ifMatch, async (tx, row) => {
    await refuseRootHindrances(tx, row);
    const present = await presentPool(tx, row);
    const pool = await targetPool(tx, `The root disk of ${row.name}`, present, body.pool);
    await requirePoolRoom(tx, pool.id, { addBytes: row.disk_bytes, takenBytes: await imageBytes(tx, row) }, '/pool');
    const token = randomUUID();
    const input: RootMoveInput = { instanceId: id, diskId: row.root_disk_id, hostId: row.host_id, token };
    // Of the disk: what is asked of the instance meanwhile does not overtake it.
    const resource = { projectId: row.project_id, resourceId: row.root_disk_id, resourceName: row.name };
    const operationId = await startWorkflow(tx, access, moveRootDiskKind, resource, input);
    await tx
      .insertInto('root_disk_moves')
      .values({
        ...{ instance_id: id, token, operation_id: operationId, pool_id: pool.id, wipe: body.wipe ?? false },
        bandwidth_bytes_per_second: body.bandwidthBytesPerSecond ?? null,
      })
      .execute();
    await appendEvent(tx, access, {
      ...about(row, 'instance.move-disk-requested'),
      message: `The move of the root disk of instance ${row.name} from pool ${present.pool_name} to ${pool.name} was asked for.`,
      data: { from: present.pool_id, to: pool.id },
    });
    return operationId;
  });
}

/** Cancels a move; all is as before it when its operation has ended. @throws NotFound | Conflict there is none, or it is at its end */
export async function cancelRootDiskMove(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
): Promise<Changed> {
  return change(deps, access, id, undefined, async (tx, row) => {
    const move = await tx
      .selectFrom('root_disk_moves')
      .selectAll()
      .where('instance_id', '=', id)
      .forUpdate()
      .executeTakeFirst();
    if (move === undefined) throw notMoving(row);
    if (move.is_cancelled) return move.operation_id;
    if (!(await cancelRootMove(tx, row))) throw atItsEnd(row);
    await appendEvent(tx, access, {
      ...about(row, 'instance.move-disk-cancelled'),
      message: `The move of the root disk of instance ${row.name} was cancelled.`,
    });
    return move.operation_id;
  });
}

/** At least that much is in it. */
async function imageBytes(tx: Tx, { image_id: id }: InstanceRow): Promise<number> {
  if (id === null) return 0;
  const image = await tx.selectFrom('images').select('file_size_bytes').where('id', '=', id).executeTakeFirst();
  return image?.file_size_bytes ?? 0;
}

/** Where it lies; the storage of its host is a pool too. */
async function presentPool(tx: Tx, { host_id: hostId, host_name, root_pool_id: poolId }: InstanceRow) {
  const pools = tx.selectFrom('pools').select(['id as pool_id', 'name as pool_name', 'driver as pool_driver']);
  const pool = poolId
    ? await pools.where('id', '=', poolId).executeTakeFirstOrThrow()
    : await pools.where('host_id', '=', hostId).where('driver', '=', 'local').executeTakeFirstOrThrow();
  return { ...pool, host_id: hostId, host_name };
}

const notMoving = ({ name }: InstanceRow) =>
  new VirgaError('Conflict', {
    detail: `The root disk of instance ${name} is not being moved.`,
    action: `See where it lies: virga show ${name}`,
  });

const atItsEnd = ({ name }: InstanceRow) =>
  new VirgaError('Conflict', {
    detail: `The move of the root disk of instance ${name} is at its end, and cannot be cancelled any more.`,
    action: `Wait until it has ended, and move it back: virga disks move ${name} --pool POOL`,
  });
