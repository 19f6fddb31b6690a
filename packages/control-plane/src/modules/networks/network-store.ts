// Rows of networks: finding them as a project may see them, and as what hosts and callers are told.
import type { DesiredLease, DesiredNetwork } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { HostId, NetworkId } from '@virga/contract/ids';
import type { Network } from '@virga/contract/rest/networks';
import { type Selectable, sql } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Db, Tx } from '../../store/database.ts';
import { hasId, hasIdOrName } from '../../store/named.ts';
import type { Database } from '../../store/schema.ts';
import { type KeptProject, keptProject } from '../projects/kept-project.ts';
import { addressCount, addressRange } from './address-pool.ts';
import { networkNameOf } from './network.ts';

export type NetworkRow = Selectable<Database['networks']> & { project: KeptProject };
/** For people; counting takes its time in a large network. */
export type CountedNetworkRow = NetworkRow & { leased_count: number; reserved: Network['reserved'] };

const selectNetworks = (db: Db | Tx) =>
  db
    .selectFrom('networks')
    .selectAll('networks')
    .select([sql<string>`host(networks.gateway)`.as('gateway'), keptProject('networks').as('project')]);

const selectCountedNetworks = (db: Db | Tx) =>
  selectNetworks(db).select([
    sql<number>`(select count(*) from addresses a where a.network_id = networks.id and a.released_at is null)`.as(
      'leased_count',
    ),
    sql<Network['reserved']>`(
      select coalesce(json_agg(json_build_object('address', host(l.address), 'mac', l.mac::text,
        'domainName', r.domain_name) order by l.address), '[]'::json)
      from foreign_leases l join released_instances r on r.id = l.released_id where l.network_id = networks.id)`.as(
      'reserved',
    ),
  ]);

/** Networks that the project sees: its own and the public ones. */
export const visibleNetworks = (db: Db | Tx, access: ProjectAccess) =>
  selectCountedNetworks(db).where((where) =>
    where.or([where('networks.project_id', '=', access.projectId), where('networks.visibility', '=', 'public')]),
  );

export async function findNetwork(db: Db | Tx, id: NetworkId): Promise<NetworkRow | undefined> {
  return selectNetworks(db).where('networks.id', '=', id).executeTakeFirst();
}

export async function findCountedNetwork(db: Db | Tx, id: NetworkId): Promise<CountedNetworkRow | undefined> {
  return selectCountedNetworks(db).where('networks.id', '=', id).executeTakeFirst();
}

/** The network to attach to, by id or name; of one name the project's own comes first. @throws NotFound | Conflict */
export async function resolveNetwork(tx: Tx, access: ProjectAccess<'operator'>, idOrName: string) {
  const row = await tx
    .selectFrom('networks')
    .select(['id', 'name', 'cidr', 'desired'])
    .where((where) => where.or([where('project_id', '=', access.projectId), where('visibility', '=', 'public')]))
    .where(hasIdOrName(idOrName))
    .orderBy(hasId(idOrName), 'desc')
    .orderBy((by) => by('project_id', '=', access.projectId), 'desc')
    .orderBy('created_at')
    .limit(1)
    .executeTakeFirst();
  if (!row) {
    throw new VirgaError('NotFound', {
      detail: `There is no network ${idOrName}.`,
      action: 'List networks with virga networks list, or create one with virga networks create.',
      field: '/network',
    });
  }
  return row;
}

/** The leases that a host must have: those of the instances that live there. */
export async function leasesOn(db: Db | Tx, networkId: NetworkId, hostId: HostId): Promise<DesiredLease[]> {
  const rows = await db
    .selectFrom('nics')
    .innerJoin('instances', 'instances.id', 'nics.instance_id')
    .where('nics.network_id', '=', networkId)
    .where('instances.host_id', '=', hostId)
    // One that is being released keeps its lease, before its row goes and after.
    .where((where) => where.or([where('instances.desired', '!=', 'deleted'), where('instances.released', '=', true)]))
    // A card that is to go has its address until then, but is given it no more.
    .where('nics.detaching', '=', false)
    .select([sql<string>`nics.mac::text`.as('mac'), sql<string>`host(nics.address)`.as('address'), 'instances.name'])
    .unionAll(
      db
        .selectFrom('foreign_leases')
        .innerJoin('released_instances', 'released_instances.id', 'foreign_leases.released_id')
        .where('foreign_leases.network_id', '=', networkId)
        .where('released_instances.host_id', '=', hostId)
        .select([
          sql<string>`foreign_leases.mac::text`.as('mac'),
          sql<string>`host(foreign_leases.address)`.as('address'),
          sql<string>`split_part(domain_name, '.', 1)`.as('name'),
        ]),
    )
    .orderBy('address')
    .execute();
  return rows.map(({ mac, address, name }) => ({ mac, address, hostName: name }));
}

export function desiredNetworkOf(row: NetworkRow, leases: DesiredLease[], cloudId: string): DesiredNetwork {
  return {
    id: row.id,
    cloudId,
    uuid: row.uuid,
    name: networkNameOf(row),
    generation: row.generation,
    kind: 'nat',
    cidr: row.cidr,
    gateway: row.gateway,
    bridge: row.bridge,
    leases,
    keepsake: keepsakeOf(row),
  };
}

/** What is needed to write the row again; how far the hosts have come is not. */
function keepsakeOf({ project, converged_generation: _, failure: __, ...row }: NetworkRow): DesiredNetwork['keepsake'] {
  // As it is read back, so that comparing tells of a difference only when there is one.
  return JSON.parse(JSON.stringify({ project, row }));
}

export function networkNotFound(id: NetworkId): VirgaError {
  return new VirgaError('NotFound', {
    detail: `There is no network ${id}.`,
    action: 'List networks with virga networks list.',
  });
}

export function toNetwork(row: CountedNetworkRow): Network {
  return {
    id: row.id,
    projectId: row.project_id,
    name: row.name,
    kind: 'nat',
    visibility: row.visibility,
    cidr: row.cidr,
    gateway: row.gateway,
    addressCount: addressCount(addressRange(row.cidr)),
    leasedCount: row.leased_count,
    reserved: row.reserved,
    state: stateOf(row),
    stateReason: row.failure ? `${row.failure.detail} ${row.failure.action}` : null,
    createdAt: row.created_at.toISOString(),
  };
}

function stateOf(row: NetworkRow): Network['state'] {
  if (row.desired === 'deleted') return 'deleting';
  if (row.failure) return 'failed';
  return row.converged_generation === row.generation ? 'active' : 'pending';
}
