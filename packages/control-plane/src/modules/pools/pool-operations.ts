// What fronts call to read pools and to change what is desired of them. The pool reconciler does the rest.
import { VirgaError } from '@virga/contract/errors';
import { type HostId, newId, type OperationId, type PoolId } from '@virga/contract/ids';
import type { CreatePool, Pool, UpdatePool } from '@virga/contract/rest/pools';
import { type CloudAccess, type ProjectAccess, projectOf } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, type Db, inTransaction, type Tx } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import { createOperation, openOperationsOf, overtakeOperations } from '../operations/operation-store.ts';
import { createPoolKind, isLow } from './pool.ts';
import { allocatedBytes, type PoolView, poolNotFound, selectPools, toPool, wakePool } from './pool-store.ts';

export type Changed = { pool: Pool; operationId: OperationId };

export async function listPools(
  db: Db,
  _access: ProjectAccess,
  { name, ...page }: PageRequest & { name?: string | undefined },
): Promise<{ items: Pool[]; next?: string }> {
  let query = selectPools(db);
  if (name !== undefined) query = query.where('pools.name', '=', name);
  const { items, ...rest } = await fetchPage(query, 'pools', page, (row) => row as PoolView);
  const allocated = await allocatedBytes(
    db,
    items.map(({ id }) => id),
  );
  return { items: items.map((row) => toPool(row, allocated.get(row.id) ?? 0)), ...rest };
}

export async function getPool(db: Db, _access: ProjectAccess, id: PoolId): Promise<Pool> {
  return poolById(db, id);
}

async function poolById(db: Db | Tx, id: PoolId): Promise<Pool> {
  const row = await selectPools(db).where('id', '=', id).executeTakeFirst();
  if (!row) throw poolNotFound(id);
  return toPool(row, (await allocatedBytes(db, [id])).get(id) ?? 0);
}

/**
 * Its operation ends when each of its hosts has opened it or has said why it cannot, which each tries again later.
 * @throws NotFound a host | InvalidArgument | Conflict it lies in another one, or that in it | NameTaken
 */
export async function createPool(
  deps: Deps,
  access: CloudAccess<'admin'>,
  given: CreatePool,
  idempotency?: Idempotency,
): Promise<Changed> {
  const projectId = projectOf(access);
  // As a shell completes the name of a folder.
  const body = given.path === undefined ? given : { ...given, path: given.path.replace(/\/$/, '') };
  const { name, driver, path, ceph, overcommit, lowSpacePercent, isDefault = false } = body;
  refuseMixed(body);
  try {
    return await onceOnly(deps.db, idempotency, async (tx) => {
      const hosts = await hostsOf(tx, body);
      const id = newId('pool');
      await refuseSamePlace(tx, body, hosts);
      if (isDefault) await endDefault(tx);
      await tx
        .insertInto('pools')
        .values({
          id,
          name,
          driver,
          host_id: driver === 'directory' ? hosts[0]! : null,
          path: path ?? null,
          ceph: ceph ? JSON.stringify({ monitors: ceph.monitors, pool: ceph.pool, user: ceph.user }) : null,
          key_sealed: ceph ? deps.seal.seal(ceph.key, id) : null,
          overcommit: overcommit ?? null,
          is_default: isDefault,
          capacity_bytes: null,
          free_bytes: null,
          ...(lowSpacePercent !== undefined && { low_space_percent: lowSpacePercent }),
        })
        .execute();
      await tx
        .insertInto('pool_hosts')
        .values(hosts.map((host_id) => ({ pool_id: id, host_id })))
        .execute();
      await appendEvent(tx, access, {
        type: 'pool.created',
        projectId: null,
        resourceId: id,
        resourceName: name,
        message: `Pool ${name} was created; its hosts open it.`,
        data: { driver, path: path ?? null, hosts },
      });
      const resource = { projectId, resourceId: id, resourceName: name };
      const operationId = await createOperation(tx, access, { kind: createPoolKind, ...resource, generation: 1 });
      await wakePool(tx, id);
      return { pool: await poolById(tx, id), operationId };
    });
  } catch (error) {
    if (brokenConstraint(error) !== 'pools_name_taken') throw error;
    throw new VirgaError('NameTaken', {
      detail: `A pool named ${name} exists.`,
      action: 'Choose another name, or delete that one.',
      field: '/name',
    });
  }
}

/** @throws InvalidArgument what belongs to another kind of pool, or is missing */
function refuseMixed({ driver, path, ceph }: CreatePool): void {
  const isCeph = driver === 'rbd';
  if ((ceph !== undefined) === isCeph && (path !== undefined) === !isCeph) return;
  throw new VirgaError('InvalidArgument', {
    detail: isCeph
      ? 'An RBD pool is given by its Ceph cluster, and has no path.'
      : path === undefined
        ? 'The path of the folder was not given.'
        : 'A folder is given by its path alone.',
    action: isCeph ? 'Give monitors, pool, user and key.' : 'Give the path of the folder, and nothing of Ceph.',
    field: isCeph ? '/ceph' : '/path',
  });
}

async function hostsOf(tx: Tx, { driver, hosts }: CreatePool): Promise<HostId[]> {
  const all = await tx.selectFrom('hosts').select(['id', 'name']).orderBy('name').execute();
  const named = hosts?.map((host, index) => {
    const found = all.find(({ id }) => id === host) ?? all.find(({ name }) => name === host);
    if (found) return found.id;
    throw new VirgaError('NotFound', {
      detail: `There is no host ${host}.`,
      action: 'List hosts with virga hosts list.',
      field: `/hosts/${index}`,
    });
  });
  const chosen = [...new Set(named ?? all.map(({ id }) => id))];
  if (chosen.length === 0 || (driver === 'directory' && chosen.length > 1)) {
    throw new VirgaError('InvalidArgument', {
      detail: chosen.length === 0 ? 'The cloud has no host.' : 'A directory is a pool of one host.',
      action: 'Name its host; for a folder that several hosts have mounted, choose shared-directory.',
      field: '/hosts',
    });
  }
  return chosen;
}

/** Two pools of one folder would count the same space twice, and so would one within the other. */
async function refuseSamePlace(tx: Tx, { driver, path, ceph }: CreatePool, hosts: readonly HostId[]): Promise<void> {
  const rows = await tx
    .selectFrom('pools')
    .innerJoin('pool_hosts', 'pool_hosts.pool_id', 'pools.id')
    .select(['pools.name', 'pools.path', 'pools.ceph'])
    .where('pool_hosts.host_id', 'in', [...hosts])
    .execute();
  const isSame = (row: (typeof rows)[number]) =>
    driver === 'rbd'
      ? row.ceph?.pool === ceph?.pool && row.ceph?.monitors.some((one) => ceph?.monitors.includes(one)) === true
      : row.path !== null && path !== undefined && lieInEachOther(row.path, path);
  const taken = rows.find(isSame);
  if (!taken) return;
  const where = taken.path === null || taken.path === path ? 'in the same place' : `at ${taken.path}`;
  throw new VirgaError('Conflict', {
    detail: `The pool ${taken.name} lies ${where}.`,
    action: 'Give another place, or use that pool.',
    field: driver === 'rbd' ? '/ceph/pool' : '/path',
  });
}

const lieInEachOther = (one: string, other: string) =>
  `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`);

/** @throws NotFound | InvalidArgument nothing was given */
export async function updatePool(
  { db }: Pick<Deps, 'db'>,
  access: CloudAccess<'admin'>,
  id: PoolId,
  body: UpdatePool,
): Promise<Pool> {
  const { overcommit, lowSpacePercent, isDefault } = body;
  if (overcommit === undefined && lowSpacePercent === undefined && isDefault === undefined) {
    throw new VirgaError('InvalidArgument', {
      detail: 'Nothing to set was given.',
      action: 'Give a ratio, a threshold, or whether it is the default: virga pools set --help.',
    });
  }
  return inTransaction(db, async (tx) => {
    const row = await tx.selectFrom('pools').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
    if (!row) throw poolNotFound(id);
    if (isDefault) await endDefault(tx);
    const changed = {
      ...(overcommit !== undefined && { overcommit }),
      ...(lowSpacePercent !== undefined && { low_space_percent: lowSpacePercent }),
      ...(isDefault !== undefined && { is_default: isDefault }),
    };
    await tx
      .updateTable('pools')
      // Its hosts keep it too.
      .set({ ...changed, is_low: isLow({ ...row, ...changed }, false), generation: row.generation + 1 })
      .where('id', '=', id)
      .execute();
    await appendEvent(tx, access, {
      type: 'pool.changed',
      projectId: null,
      resourceId: id,
      resourceName: row.name,
      message: `What may be promised of pool ${row.name}, and when it is low, was changed.`,
      data: body,
    });
    await wakePool(tx, id);
    return poolById(tx, id);
  });
}

const endDefault = (tx: Tx) =>
  tx.updateTable('pools').set({ is_default: false }).where('is_default', '=', true).execute();

/** @throws NotFound | InUse a volume lies in it | Conflict it is the storage of a host */
export async function deletePool(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  access: CloudAccess<'admin'>,
  id: PoolId,
): Promise<Changed> {
  const projectId = projectOf(access);
  return inTransaction(db, async (tx) => {
    const row = await tx.selectFrom('pools').selectAll().where('id', '=', id).forUpdate().executeTakeFirst();
    if (!row) throw poolNotFound(id);
    if (row.driver === 'local') {
      throw new VirgaError('Conflict', {
        detail: `The pool ${row.name} is the storage of a host, which goes with the host.`,
        action: 'Delete another one.',
      });
    }
    const volume = await tx.selectFrom('volumes').select('name').where('pool_id', '=', id).limit(1).executeTakeFirst();
    if (volume) {
      throw new VirgaError('InUse', {
        detail: `The volume ${volume.name} lies in the pool ${row.name}.`,
        action: 'Delete what lies in it first: virga volumes list.',
      });
    }
    const coming = await tx
      .selectFrom('volume_moves')
      .select('volume_id')
      .where('pool_id', '=', id)
      .limit(1)
      .executeTakeFirst();
    if (coming) {
      throw new VirgaError('InUse', {
        detail: `The volume ${coming.volume_id} is being moved to the pool ${row.name}.`,
        action: 'Wait until that has ended, or cancel it: virga volumes cancel-move.',
      });
    }
    const comingDisk = await tx
      .selectFrom('root_disk_moves as m')
      .innerJoin('instances', 'instances.id', 'm.instance_id')
      .select('name')
      .where('m.pool_id', '=', id)
      .limit(1)
      .executeTakeFirst();
    if (comingDisk) {
      throw new VirgaError('InUse', {
        detail: `The root disk of instance ${comingDisk.name} is being moved to the pool ${row.name}.`,
        action: `Wait until that has ended, or cancel it: virga disks cancel-move ${comingDisk.name}`,
      });
    }
    const disk = await tx
      .selectFrom('instances')
      .select(['name', 'root_pool_id'])
      .where((where) => where.or([where('root_pool_id', '=', id), where('folder_pool_id', '=', id)]))
      .orderBy((by) => by('root_pool_id', '=', id), 'desc')
      .limit(1)
      .executeTakeFirst();
    if (disk?.root_pool_id === id) {
      throw new VirgaError('InUse', {
        detail: `The disk of instance ${disk.name} lies in the pool ${row.name}.`,
        action: `Move it to another one, virga disks move ${disk.name} --pool POOL, or delete it: virga delete ${disk.name}.`,
      });
    }
    if (disk) {
      throw new VirgaError('InUse', {
        detail: `What else there is of instance ${disk.name}, such as its UEFI variables and its console log, lies in the pool ${row.name}, where it was launched.`,
        action: `Delete it, or launch a clone elsewhere: virga clone ${disk.name} --full.`,
      });
    }
    const [open] = await openOperationsOf(tx, id);
    if (row.desired === 'deleted' && open) return { pool: await poolById(tx, id), operationId: open };
    const kind = 'pool.delete';
    await overtakeOperations(tx, access, id, kind, clock.now());
    const generation = row.generation + 1;
    await tx
      .updateTable('pools')
      .set({ desired: 'deleted', is_default: false, generation })
      .where('id', '=', id)
      .execute();
    await appendEvent(tx, access, {
      type: 'pool.delete-requested',
      projectId: null,
      resourceId: id,
      resourceName: row.name,
      message: `Deletion of pool ${row.name} was asked for.`,
    });
    const resource = { projectId, resourceId: id, resourceName: row.name };
    const operationId = await createOperation(tx, access, { kind, ...resource, generation });
    await wakePool(tx, id);
    return { pool: await poolById(tx, id), operationId };
  });
}
