// Volume types: classes of volumes that an administrator offers. A volume keeps what it was created with.
import { VirgaError } from '@virga/contract/errors';
import type { VolumeType } from '@virga/contract/rest/volume-types';
import type { Selectable } from 'kysely';
import type { CloudAccess, ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import type { Database } from '../../store/schema.ts';
import { readDiskLimits } from './disk-limits.ts';
import { refuseImpossibleShape } from './volume-shape.ts';

export async function listVolumeTypes(db: Db, _access: ProjectAccess): Promise<{ items: VolumeType[] }> {
  const rows = await db.selectFrom('volume_types').selectAll().orderBy('name').execute();
  return { items: rows.map(toVolumeType) };
}

/** @throws NameTaken | NotFound a pool of that name | InvalidArgument what does not go together */
export async function createVolumeType(
  { db }: Pick<Deps, 'db'>,
  access: CloudAccess<'admin'>,
  type: VolumeType,
  idempotency?: Idempotency,
): Promise<VolumeType> {
  const { name, pool, format, preallocation, encrypted } = type;
  refuseImpossibleShape({ format, preallocation, encrypted });
  const limits = readDiskLimits(type.limits, '/limits');
  return onceOnly(db, idempotency, async (tx) => {
    if (pool !== undefined) await requirePool(tx, pool);
    const row = await tx
      .insertInto('volume_types')
      .values({
        name,
        pool: pool ?? null,
        limits: limits && JSON.stringify(limits),
        format: format ?? null,
        preallocation: preallocation ?? null,
        encrypted: encrypted ?? null,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning('name')
      .executeTakeFirst();
    if (!row) {
      throw new VirgaError('NameTaken', {
        detail: `A volume type named ${name} exists.`,
        action: 'Choose another name, or delete that one.',
        field: '/name',
      });
    }
    await notify(tx, 'keepsakes');
    await tell(tx, access, name, 'created', type);
    return type;
  });
}

async function requirePool(tx: Tx, name: string): Promise<void> {
  const found = await tx.selectFrom('pools').select('id').where('name', '=', name).limit(1).executeTakeFirst();
  if (found) return;
  throw new VirgaError('NotFound', {
    detail: `There is no pool ${name}.`,
    action: 'List pools with virga pools list.',
    field: '/pool',
  });
}

/** @throws NotFound */
export async function deleteVolumeType(
  { db }: Pick<Deps, 'db'>,
  access: CloudAccess<'admin'>,
  name: string,
): Promise<Record<string, never>> {
  return inTransaction(db, async (tx) => {
    const { numDeletedRows } = await tx.deleteFrom('volume_types').where('name', '=', name).executeTakeFirst();
    if (numDeletedRows === 0n) throw volumeTypeNotFound(name);
    await notify(tx, 'keepsakes');
    await tell(tx, access, name, 'deleted');
    return {};
  });
}

/** @throws NotFound */
export async function resolveVolumeType(tx: Tx, name: string): Promise<VolumeType> {
  const row = await tx.selectFrom('volume_types').selectAll().where('name', '=', name).executeTakeFirst();
  if (!row) throw volumeTypeNotFound(name, '/type');
  return toVolumeType(row);
}

const tell = (tx: Tx, access: CloudAccess<'admin'>, name: string, what: string, data?: VolumeType) =>
  appendEvent(tx, access, {
    type: `volume-type.${what}`,
    projectId: null,
    resourceId: name,
    resourceName: name,
    message: `Volume type ${name} was ${what}.`,
    ...(data && { data }),
  });

const volumeTypeNotFound = (name: string, field?: string): VirgaError =>
  new VirgaError('NotFound', {
    detail: `There is no volume type named ${name}.`,
    action: 'List volume types with virga volume-types list.',
    field,
  });

const toVolumeType = (row: Selectable<Database['volume_types']>): VolumeType => ({
  name: row.name,
  ...(row.pool && { pool: row.pool }),
  ...(row.limits && { limits: row.limits }),
  ...(row.format && { format: row.format }),
  ...(row.preallocation && { preallocation: row.preallocation }),
  ...(row.encrypted !== null && { encrypted: row.encrypted }),
});
