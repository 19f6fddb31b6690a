// Writes down how far a host has come with a volume. A volume that its host refuses from the start is removed again; one
// that is lost stays, as an error, until it is found or deleted.
import type { ObservedVolume } from '@virga/contract/agent/volumes';
import { fromProblem, VirgaError } from '@virga/contract/errors';
import { sql } from 'kysely';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { failureOf } from '../../store/failure.ts';
import { endOperation, openOperationsOf, progressOperation } from '../operations/operation-store.ts';
import { resourceOf, type VolumeRow } from './volume-store.ts';

type Context = { deps: Deps; access: SystemAccess };

/** @returns whether this was what is desired now */
export async function recordVolumeReached(
  { deps, access }: Context,
  row: VolumeRow,
  { sizeBytes, usedBytes }: ObservedVolume,
): Promise<boolean> {
  return inTransaction(deps.db, async (tx) => {
    if (!(await hold(tx, row))) return false;
    await tx
      .updateTable('volumes')
      // A copy may be larger than was asked for: as large as its image.
      .set({
        converged_generation: row.generation,
        failure: null,
        used_bytes: usedBytes,
        size_bytes: Math.max(row.size_bytes, sizeBytes),
      })
      .where('id', '=', row.id)
      .execute();
    const ids = await openOperationsOf(tx, row.id);
    const kinds =
      ids.length === 0 ? [] : await tx.selectFrom('operations').select('kind').where('id', 'in', ids).execute();
    for (const id of ids) await endOperation(tx, access, id, {}, deps.clock.now());
    const isNew = row.converged_generation === 0;
    // That it has another name was told when it was asked for.
    if (!isNew && kinds.length > 0 && kinds.every(({ kind }) => kind === 'volume.update')) return true;
    await appendEvent(tx, access, {
      type: isNew ? 'volume.created' : 'volume.resized',
      ...resourceOf(row),
      message: isNew ? `Volume ${row.name} is available.` : `Volume ${row.name} has ${row.size_bytes} bytes.`,
      data: { sizeBytes: row.size_bytes },
    });
    return true;
  });
}

/** @returns whether this was what is desired now */
export async function recordVolumeDeleted({ deps, access }: Context, row: VolumeRow): Promise<boolean> {
  return inTransaction(deps.db, async (tx) => {
    if (!(await hold(tx, row))) return false;
    const error = row.failure ? fromProblem(row.failure) : undefined;
    for (const id of await openOperationsOf(tx, row.id))
      await endOperation(tx, access, id, { error }, deps.clock.now());
    await tx.deleteFrom('volumes').where('id', '=', row.id).execute();
    await appendEvent(tx, access, {
      type: error ? 'volume.create-failed' : 'volume.deleted',
      ...resourceOf(row),
      message: error
        ? `Volume ${row.name} could not be created and was removed again: ${error.detail}`
        : `Volume ${row.name} was deleted.`,
    });
    return true;
  });
}

/** @returns whether the volume is to be removed again, because it never came to be */
export async function recordVolumeFailed(
  { deps, access }: Context,
  row: VolumeRow,
  error: VirgaError,
): Promise<boolean> {
  const now = deps.clock.now();
  const isNew = row.converged_generation === 0;
  // Room may come; but who wants a new volume is told at once that there is none.
  const isWaiting = row.desired === 'deleted' || (error.kind.retryable && !(isNew && error.code === 'StorageFull'));
  return inTransaction(deps.db, async (tx) => {
    if (!(await hold(tx, row))) return false;
    if (isWaiting) {
      const message = `waiting: ${error.detail}`;
      for (const id of await openOperationsOf(tx, row.id)) await progressOperation(tx, access, id, { message }, now);
      return false;
    }
    if (row.failure) return false;
    const failure = failureOf(error);
    if (isNew) {
      await tx
        .updateTable('volumes')
        .set({ failure, desired: 'deleted', generation: row.generation + 1 })
        .where('id', '=', row.id)
        .execute();
      return true;
    }
    await tx.updateTable('volumes').set({ failure }).where('id', '=', row.id).execute();
    for (const id of await openOperationsOf(tx, row.id)) await endOperation(tx, access, id, { error }, now);
    await appendEvent(tx, access, {
      type: 'volume.failed',
      ...resourceOf(row),
      message: `Volume ${row.name}: ${error.detail}`,
    });
    return false;
  });
}

/** To who waits for it, and to who waits for an instance that is to have it from the start. */
export async function recordVolumeProgress(
  { deps: { db, clock }, access }: Context,
  row: VolumeRow,
  { message, percent }: { message: string; percent: number },
): Promise<void> {
  for (const id of await openOperationsOf(db, row.id)) {
    await progressOperation(db, access, id, { message, percent }, clock.now());
  }
  if (row.converged_generation > 0) return;
  const holder = await db
    .selectFrom('volume_attachments')
    .select('instance_id')
    .where('volume_id', '=', row.id)
    .executeTakeFirst();
  if (holder === undefined) return;
  const told = { message: `${message} of volume ${row.name}, ${percent} %` };
  for (const id of await openOperationsOf(db, holder.instance_id)) {
    await progressOperation(db, access, id, told, clock.now());
  }
}

/** What volumes take from their pools, as a host has just told. */
export async function recordVolumeUsage({ deps }: Context, seen: readonly ObservedVolume[]): Promise<void> {
  const known = seen.filter(({ usedBytes }) => usedBytes !== null);
  if (known.length === 0) return;
  const [ids, sizes] = [known.map(({ id }) => id), known.map(({ usedBytes }) => usedBytes)];
  await sql`update volumes set used_bytes = told.bytes
    from unnest(${ids}::text[], ${sizes}::bigint[]) as told(id, bytes)
    where volumes.id = told.id and volumes.used_bytes is distinct from told.bytes`.execute(deps.db);
}

/** The host does not show the disk of a volume that it has made, or shows it again. */
export async function recordVolumeSeen({ deps, access }: Context, row: VolumeRow, isIntact: boolean): Promise<void> {
  if (isIntact === (row.failure === null)) return;
  const lost = new VirgaError('HypervisorRefused', {
    detail: `The disk of volume ${row.name} is gone from its host.`,
    action: 'Bring it back, such as from a backup or by mounting the storage; or delete the volume.',
  });
  await inTransaction(deps.db, async (tx) => {
    if (!(await hold(tx, row))) return;
    // For a moment neither place has its name; what became of it the move will tell.
    const move = await tx.selectFrom('volume_moves').select('token').where('volume_id', '=', row.id).executeTakeFirst();
    if (move !== undefined) return;
    await tx
      .updateTable('volumes')
      .set({ failure: isIntact ? null : failureOf(lost) })
      .where('id', '=', row.id)
      .execute();
    await appendEvent(tx, access, {
      type: isIntact ? 'volume.found' : 'volume.lost',
      ...resourceOf(row),
      message: isIntact ? `Volume ${row.name} is there again.` : lost.detail,
    });
  });
}

async function hold(tx: Tx, row: VolumeRow): Promise<boolean> {
  const current = await tx
    .selectFrom('volumes')
    .select('generation')
    .where('id', '=', row.id)
    .forUpdate()
    .executeTakeFirst();
  return current?.generation === row.generation;
}
