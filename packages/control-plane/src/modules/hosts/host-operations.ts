// Hosts: reading them, and writing down what they report about themselves.
import type { HostFacts } from '@virga/contract/agent/host-facts';
import { VirgaError } from '@virga/contract/errors';
import { type HostId, newId } from '@virga/contract/ids';
import type { Host } from '@virga/contract/rest/hosts';
import { type Selectable, sql } from 'kysely';
import type { CloudAccess, SystemAccess } from '../../access/authorizer.ts';
import type { Settings } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction } from '../../store/database.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import type { Database } from '../../store/schema.ts';
import { storageHeadroomBytes } from './capacity.ts';
import { capacityColumns, hugePageCounts, hugePagesOfHost, policyColumns } from './host-policy.ts';
import { recountVcpus } from './vcpu-capacity.ts';

type Row = Selectable<Database['hosts']> & { instance_count: number };

const withCount = (db: Db) =>
  db
    .selectFrom('hosts')
    .selectAll('hosts')
    .select((select) =>
      select
        .selectFrom('instances')
        .whereRef('instances.host_id', '=', 'hosts.id')
        .select((count) => count.fn.countAll<number>().as('n'))
        .$asScalar()
        .$notNull()
        .as('instance_count'),
    );

export async function listHosts(db: Db, _access: CloudAccess, { name, ...page }: PageRequest & { name?: string }) {
  let query = withCount(db);
  if (name !== undefined) query = query.where('hosts.name', '=', name);
  return fetchPage(query, 'hosts', page, toHost);
}

export async function getHost(db: Db, _access: CloudAccess, id: HostId): Promise<Host> {
  const row = await withCount(db).where('hosts.id', '=', id).executeTakeFirst();
  if (!row) {
    throw new VirgaError('NotFound', {
      detail: `There is no host ${id}.`,
      action: 'List hosts with virga hosts list.',
    });
  }
  return toHost(row as Row);
}

/** The row of a host, made when it is seen for the first time. Not ready until it has reported. */
export async function registerHost(
  db: Db,
  access: SystemAccess,
  { name, driver }: { name: string; driver: 'libvirt' | 'simulated' },
): Promise<HostId> {
  return inTransaction(db, async (tx) => {
    const inserted = await tx
      .insertInto('hosts')
      .values({
        id: newId('host'),
        name,
        driver,
        state: 'unreachable',
        state_reason: null,
        state_action: null,
        facts: null,
        last_seen_at: null,
      })
      .onConflict((conflict) => conflict.constraint('hosts_name_taken').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (!inserted) {
      return (await tx.selectFrom('hosts').select('id').where('name', '=', name).executeTakeFirstOrThrow()).id;
    }
    await appendEvent(tx, access, {
      type: 'host.registered',
      projectId: null,
      resourceId: inserted.id,
      resourceName: name,
      message: `Host ${name} was registered.`,
    });
    return inserted.id;
  });
}

/** Writes facts down, and that the host is ready. */
export async function recordFacts(
  db: Db,
  access: SystemAccess,
  id: HostId,
  facts: HostFacts,
  settings: Settings,
  now: Date,
): Promise<void> {
  await inTransaction(db, async (tx) => {
    const before = await tx
      .selectFrom('hosts')
      .select(['state', 'name', ...policyColumns])
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirst();
    await tx
      .updateTable('hosts')
      .set({
        state: 'ready',
        state_reason: null,
        state_action: null,
        facts: JSON.stringify(facts),
        ...(before && { ...capacityColumns(facts, settings, before), ...hugePageCounts(facts, before) }),
        storage_headroom_bytes: storageHeadroomBytes(facts, settings),
        last_seen_at: now,
      })
      .where('id', '=', id)
      .execute();
    await recountVcpus(tx, id);
    if (before?.state !== 'unreachable') return;
    await appendEvent(tx, access, {
      type: 'host.ready',
      projectId: null,
      resourceId: id,
      resourceName: before.name,
      message: `Host ${before.name} is ready and runs guests with ${facts.acceleration.mode}: ${facts.acceleration.reason}`,
    });
  });
}

/** Writes down that the host cannot be used, why, and what to do. Tells it once. */
export async function recordUnreachable(
  db: Db,
  access: SystemAccess,
  id: HostId,
  { detail, action }: Pick<VirgaError, 'detail' | 'action'>,
): Promise<void> {
  await inTransaction(db, async (tx) => {
    const row = await tx
      .updateTable('hosts')
      .set({ state: 'unreachable', state_reason: detail, state_action: action })
      .where('id', '=', id)
      .where((where) =>
        where.or([where('state', '!=', 'unreachable'), sql<boolean>`state_reason is distinct from ${detail}`]),
      )
      .returning('name')
      .executeTakeFirst();
    if (!row) return;
    await appendEvent(tx, access, {
      type: 'host.unreachable',
      projectId: null,
      resourceId: id,
      resourceName: row.name,
      message: `Host ${row.name} cannot be used: ${detail} ${action}`,
    });
  });
}

function toHost(row: Row): Host {
  return {
    id: row.id,
    name: row.name,
    driver: row.driver,
    state: row.state,
    stateReason: row.state_reason && `${row.state_reason} ${row.state_action}`,
    facts: row.facts,
    allocatedVcpus: row.allocated_vcpus,
    allocatedMemoryMib: row.allocated_memory_mib,
    schedulableVcpus: row.schedulable_vcpus,
    schedulableMemoryMib: row.schedulable_memory_mib,
    vcpuOvercommit: row.vcpu_overcommit,
    memoryOvercommit: row.memory_overcommit,
    memoryFloorMib: row.memory_floor_mib,
    ksmScope: row.ksm_scope,
    hugePages: hugePagesOfHost(row),
    reservedCpus: row.reserved_cpus,
    instanceCount: row.instance_count,
    lastSeenAt: row.last_seen_at?.toISOString() ?? null,
    createdAt: row.created_at.toISOString(),
  };
}
