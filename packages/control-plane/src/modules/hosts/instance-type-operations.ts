// Instance types: the sizes that instances come in. An instance keeps the size it was launched with.
import { refuseDriver } from '@virga/contract/agent/disk-driver';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceType } from '@virga/contract/rest/hosts';
import type { Selectable } from 'kysely';
import type { CloudAccess, SystemAccess } from '../../access/authorizer.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import type { Database } from '../../store/schema.ts';
import { mergedDriver } from './disk-drivers.ts';
import { refuseBrokenPages } from './huge-page-memory.ts';

/** The types of a new cloud: vCPU / memory / root disk. */
export const defaultInstanceTypes: InstanceType[] = [
  { name: 'tiny', vcpus: 1, memoryMib: 256, diskGib: 1 },
  { name: 'small', vcpus: 1, memoryMib: 512, diskGib: 4 },
  { name: 'medium', vcpus: 2, memoryMib: 2048, diskGib: 20 },
  { name: 'large', vcpus: 4, memoryMib: 8192, diskGib: 80 },
  { name: 'xlarge', vcpus: 8, memoryMib: 16384, diskGib: 160 },
];

export async function listInstanceTypes(db: Db): Promise<{ items: InstanceType[] }> {
  const rows = await db
    .selectFrom('instance_types')
    .selectAll()
    .orderBy('memory_mib')
    .orderBy('vcpus')
    .orderBy('name')
    .execute();
  return { items: rows.map(toInstanceType) };
}

export function createInstanceType(
  db: Db,
  access: CloudAccess<'admin'>,
  type: InstanceType,
  idempotency?: Idempotency,
): Promise<InstanceType> {
  return onceOnly(db, idempotency, (tx) => insertInstanceType(tx, access, type));
}

export async function insertInstanceType(
  tx: Tx,
  access: CloudAccess<'admin'> | SystemAccess,
  type: InstanceType,
): Promise<InstanceType> {
  refuseBrokenPages(type.memoryMib, type.hugePageKib ?? null);
  const driver = mergedDriver(type.diskDriver);
  const label = `root disk of an instance of type ${type.name}`;
  if (driver) refuseDriver({ label, driver, hardware: 'virtio', scratch: false, field: '/diskDriver' });
  const row = await tx
    .insertInto('instance_types')
    .values({
      name: type.name,
      vcpus: type.vcpus,
      memory_mib: type.memoryMib,
      disk_gib: type.diskGib,
      huge_page_kib: type.hugePageKib ?? null,
      cpu_policy: type.cpuPolicy ?? 'shared',
      cpu_shares: type.cpuShares ?? null,
      cpu_cap_percent: type.cpuCapPercent ?? null,
      disk_driver: driver && JSON.stringify(driver),
      pool: type.pool ?? null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('name')
    .executeTakeFirst();
  if (!row) {
    throw new VirgaError('NameTaken', {
      detail: `An instance type named ${type.name} exists.`,
      action: 'Choose another name, or delete that one.',
      field: '/name',
    });
  }
  await notify(tx, 'keepsakes');
  await appendEvent(tx, access, {
    type: 'instance-type.created',
    projectId: null,
    resourceId: type.name,
    resourceName: type.name,
    message: `Instance type ${type.name} was created.`,
    data: type,
  });
  return type;
}

export async function deleteInstanceType(db: Db, access: CloudAccess<'admin'>, name: string): Promise<void> {
  await inTransaction(db, async (tx) => {
    const { numDeletedRows } = await tx.deleteFrom('instance_types').where('name', '=', name).executeTakeFirst();
    if (numDeletedRows === 0n) throw instanceTypeNotFound(name);
    await notify(tx, 'keepsakes');
    await appendEvent(tx, access, {
      type: 'instance-type.deleted',
      projectId: null,
      resourceId: name,
      resourceName: name,
      message: `Instance type ${name} was deleted.`,
    });
  });
}

export async function resolveInstanceType(tx: Tx, name: string): Promise<InstanceType> {
  const row = await tx.selectFrom('instance_types').selectAll().where('name', '=', name).executeTakeFirst();
  if (!row) throw instanceTypeNotFound(name, '/type');
  return toInstanceType(row);
}

function instanceTypeNotFound(name: string, field?: string): VirgaError {
  return new VirgaError('NotFound', {
    detail: `There is no instance type named ${name}.`,
    action: 'List instance types with virga types list.',
    field,
  });
}

function toInstanceType(row: Selectable<Database['instance_types']>): InstanceType {
  return {
    name: row.name,
    vcpus: row.vcpus,
    memoryMib: row.memory_mib,
    diskGib: row.disk_gib,
    ...(row.huge_page_kib && { hugePageKib: row.huge_page_kib }),
    ...(row.cpu_policy !== 'shared' && { cpuPolicy: row.cpu_policy }),
    ...(row.cpu_shares && { cpuShares: row.cpu_shares }),
    ...(row.cpu_cap_percent && { cpuCapPercent: row.cpu_cap_percent }),
    ...(row.disk_driver && { diskDriver: row.disk_driver }),
    ...(row.pool && { pool: row.pool }),
  };
}
