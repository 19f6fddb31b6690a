// What fronts call to read networks and to change what is desired of them. The network reconciler does the rest.
import { VirgaError } from '@virga/contract/errors';
import { type NetworkId, newId, type OperationId, type ProjectId } from '@virga/contract/ids';
import type { Network } from '@virga/contract/rest/networks';
import type { CloudAccess, ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import { brokenConstraint, type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import { createOperation, openOperationsOf, overtakeOperations } from '../operations/operation-store.ts';
import { addressRange } from './address-pool.ts';
import { insertAddresses } from './address-store.ts';
import { bridgeNameOf } from './network.ts';
import {
  type CountedNetworkRow,
  findCountedNetwork,
  networkNotFound,
  toNetwork,
  visibleNetworks,
} from './network-store.ts';

type Changed = { network: Network; operationId: OperationId };
type NewNetwork = { name: string; cidr: string; visibility?: 'private' | 'public' | undefined };

export async function listNetworks(
  db: Db,
  access: ProjectAccess,
  { name, ...page }: PageRequest & { name?: string | undefined },
): Promise<{ items: Network[]; next?: string }> {
  let query = visibleNetworks(db, access);
  if (name !== undefined) query = query.where('networks.name', '=', name);
  return fetchPage(query, 'networks', page, (row) => toNetwork(row as CountedNetworkRow));
}

/** @throws NotFound */
export async function getNetwork(db: Db, access: ProjectAccess, id: NetworkId): Promise<Network> {
  const row = await visibleNetworks(db, access).where('networks.id', '=', id).executeTakeFirst();
  if (!row) throw networkNotFound(id);
  return toNetwork(row as CountedNetworkRow);
}

/**
 * Creates a network. One that its host refuses is removed again, and the operation says why.
 * @throws InvalidArgument the range cannot be used, or overlaps with another network
 * @throws NameTaken | IdempotencyMismatch
 */
export async function createNetwork(
  deps: Deps,
  access: CloudAccess<'admin'>,
  body: NewNetwork,
  idempotency?: Idempotency,
): Promise<Changed> {
  const projectId = requireProject(access);
  const range = addressRange(body.cidr);
  try {
    return await onceOnly(deps.db, idempotency, async (tx) => {
      await refuseOverlap(tx, body.cidr);
      const id = newId('network');
      await tx
        .insertInto('networks')
        .values({
          id,
          project_id: projectId,
          name: body.name,
          visibility: body.visibility ?? 'private',
          cidr: range.cidr,
          gateway: range.gateway,
          bridge: bridgeNameOf(id),
          uuid: uuidOf(id),
          failure: null,
        })
        .execute();
      await insertAddresses(tx, access, id, range);
      const resource = { projectId, resourceId: id, resourceName: body.name };
      const operationId = await createOperation(tx, access, { kind: 'network.create', ...resource, generation: 1 });
      await appendEvent(tx, access, {
        type: 'network.create-requested',
        ...resource,
        message: `Creation of network ${body.name} with ${body.cidr} was asked for.`,
        data: { cidr: body.cidr },
      });
      await notify(tx, 'networks', id);
      return { network: toNetwork((await findCountedNetwork(tx, id))!), operationId };
    });
  } catch (error) {
    if (brokenConstraint(error) === 'networks_overlap')
      await inTransaction(deps.db, (tx) => refuseOverlap(tx, body.cidr));
    if (brokenConstraint(error) !== 'networks_name_taken') throw error;
    throw new VirgaError('NameTaken', {
      detail: `A network named ${body.name} exists.`,
      action: 'Choose another name.',
      field: '/name',
    });
  }
}

async function refuseOverlap(tx: Tx, cidr: string): Promise<void> {
  const other = await tx
    .selectFrom('networks')
    .select(['name', 'cidr'])
    .where('cidr', '&&', cidr)
    .limit(1)
    .executeTakeFirst();
  if (!other) return;
  throw new VirgaError('InvalidArgument', {
    detail: `${cidr} overlaps with network ${other.name}, which has ${other.cidr}.`,
    action: 'Choose another range.',
    field: '/cidr',
  });
}

/** A network lives in a project, also when it is public. */
function requireProject({ projectId }: CloudAccess<'admin'>): ProjectId {
  if (projectId !== null) return projectId;
  throw new VirgaError('InvalidArgument', {
    detail: 'The request names no project to create the network in.',
    action: 'Name one with --project or the header virga-project.',
  });
}

/** @throws NotFound | InUse instances are attached to it */
export async function deleteNetwork(deps: Deps, access: ProjectAccess<'admin'>, id: NetworkId): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    await tx.selectFrom('networks').select('id').where('id', '=', id).forUpdate().execute();
    const row = await findCountedNetwork(tx, id);
    if (row?.project_id !== access.projectId) throw networkNotFound(id);
    await refuseWhileUsed(tx, row);
    const now = deps.clock.now();
    if (row.desired !== 'deleted' || row.failure) await overtakeOperations(tx, access, id, 'network.delete', now);
    const [open] = await openOperationsOf(tx, id);
    if (open) return { network: toNetwork(row), operationId: open };
    const resource = { projectId: row.project_id, resourceId: id, resourceName: row.name };
    const generation = row.generation + 1;
    const operationId = await createOperation(tx, access, { kind: 'network.delete', ...resource, generation });
    await tx
      .updateTable('networks')
      .set({ desired: 'deleted', generation, failure: null })
      .where('id', '=', id)
      .execute();
    await appendEvent(tx, access, {
      type: 'network.delete-requested',
      ...resource,
      message: `Deletion of network ${row.name} was asked for.`,
    });
    await notify(tx, 'networks', id);
    return { network: toNetwork((await findCountedNetwork(tx, id))!), operationId };
  });
}

async function refuseWhileUsed(tx: Tx, row: CountedNetworkRow): Promise<void> {
  const [released] = row.reserved;
  if (released) {
    throw new VirgaError('InUse', {
      detail: `Network ${row.name} has ${row.reserved.length} addresses of released instances, such as that of ${released.domainName}.`,
      action: 'Undefine those domains with virsh, or adopt and delete them.',
    });
  }
  const { count } = await tx
    .selectFrom('nics')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('network_id', '=', row.id)
    .executeTakeFirstOrThrow();
  if (count === 0) return;
  throw new VirgaError('InUse', {
    detail: `Network ${row.name} has ${count} ${count === 1 ? 'instance' : 'instances'} attached.`,
    action: 'Delete them first.',
  });
}
