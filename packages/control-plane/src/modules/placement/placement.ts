// Placement: which host gets an instance. Decided and allocated in one transaction, under the lock of the host row, so
// that no two requests are promised the same room. The cost does not grow with the number of instances.
import { type HostFeature, hostIncapable } from '@virga/contract/agent/host-features';
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import { type Selectable, sql } from 'kysely';
import type { WriteAccess } from '../../access/authorizer.ts';
import type { Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { hugePagesForGuests } from '../hosts/capacity.ts';
import { hugePageColumns } from '../hosts/host-policy.ts';
import { claimCpus, releaseCpus, trimCpus } from './cpu-claims.ts';
import { isExclusive } from './cpu-grant.ts';
import { noCpus } from './cpu-shortage.ts';
import type { Demand, HugePages } from './demand.ts';
import { belowFloor, noHugePages, shortage } from './memory-shortage.ts';

export type { Demand } from './demand.ts';

export type Placement = { id: HostId; name: string };

/**
 * Chooses the ready host with the most free memory that has room, and allocates.
 * @throws InstanceTypeTooLarge no host could hold it even if empty
 * @throws HostUnavailable no host is ready
 * @throws HostIncapable no host can give a machine those features
 * @throws StorageFull | NoCapacity
 */
export async function place(tx: Tx, _access: WriteAccess, demand: Demand): Promise<Placement> {
  const allocate = demand.cpu && demand.cpu.policy !== 'shared' ? allocateWithCpus : allocateFitting;
  const host = (await allocate(tx, demand, 'skip')) ?? (await allocate(tx, demand, 'wait'));
  if (!host) throw await refusal(tx, demand);
  return host;
}

/** A host that another request is just placing on is skipped at first; only when nothing else fits we wait for it. */
async function allocateFitting(tx: Tx, demand: Demand, locked: 'skip' | 'wait'): Promise<Placement | undefined> {
  const fitting = hostsWithRoom(tx, demand)
    .where((where) =>
      where(where.ref('schedulable_vcpus'), '>=', where(where.ref('allocated_vcpus'), '+', demand.vcpus)),
    )
    .limit(1)
    .forUpdate();
  const host = await allocation(tx, demand)
    .where('id', '=', locked === 'skip' ? fitting.skipLocked() : fitting)
    .returning(['id', 'name', sql<number | null>`jsonb_array_length(facts -> 'numaNodes')`.as('nodes')])
    .executeTakeFirst();
  if (!host) return undefined;
  const { id, name, nodes } = host;
  if (demand.cpu && (nodes ?? 1) > 1) await claimCpus(tx, id, demand.cpu, demand);
  return { id, name };
}

/** The first host in that order that has the CPUs too. */
async function allocateWithCpus(tx: Tx, demand: Demand, locked: 'skip' | 'wait'): Promise<Placement | undefined> {
  for (const { id } of await hostsWithRoom(tx, demand).execute()) {
    const held = hostsWithRoom(tx, demand).where('id', '=', id).forUpdate();
    const host = await (locked === 'skip' ? held.skipLocked() : held).executeTakeFirst();
    if (!host || !(await claimCpus(tx, id, demand.cpu!, demand))) continue;
    return allocation(tx, demand).where('id', '=', id).returning(['id', 'name']).executeTakeFirst();
  }
  return undefined;
}

/** Ready hosts with all but the CPUs, those with the most free memory first. */
function hostsWithRoom(tx: Tx, { memoryMib, hugePages, features = [], hostIds }: Demand) {
  return tx
    .selectFrom('hosts')
    .select('id')
    .where('state', '=', 'ready')
    .where((where) =>
      where(where.ref('schedulable_memory_mib'), '>=', where(where.ref('allocated_memory_mib'), '+', memoryMib)),
    )
    .where('storage_headroom_bytes', '>', 0)
    .where((where) => (hostIds === undefined ? where.lit(true) : where('id', 'in', hostIds)))
    .where(isAboveFloor)
    .where(hugePages === undefined ? sql<boolean>`true` : hasFreeHugePages(hugePages))
    .where(sql<boolean>`coalesce(facts -> 'features' @> ${JSON.stringify(features)}::jsonb, true)`)
    .orderBy((by) => by(by.ref('schedulable_memory_mib'), '-', by.ref('allocated_memory_mib')), 'desc');
}

const allocation = (tx: Tx, { vcpus, memoryMib, hugePages }: Demand) =>
  tx.updateTable('hosts').set((column) => ({
    allocated_vcpus: column('allocated_vcpus', '+', vcpus),
    allocated_memory_mib: column('allocated_memory_mib', '+', memoryMib),
    ...(hugePages && takenHugePages(hugePages)),
  }));

/** Available memory of a host that does not say is not looked at. */
const isAboveFloor = sql<boolean>`coalesce(available_memory_mib >= effective_floor_mib, true)`;

function hasFreeHugePages({ kib, count }: HugePages) {
  const { total, allocated } = hugePageColumns(kib);
  return sql<boolean>`${sql.ref(total)} >= ${sql.ref(allocated)} + ${count}`;
}

function takenHugePages({ kib, count }: HugePages) {
  const { allocated } = hugePageColumns(kib);
  return { [allocated]: sql<number>`${sql.ref(allocated)} + ${count}` };
}

/**
 * Allocates on this very host, for an instance whose disk is there.
 * @param isBack the host has just come back, which its row does not say yet
 * @param isThere its guest has that memory on the host already, which is so not somebody else's
 * @throws HostUnavailable | NoCapacity
 */
export async function placeOn(
  tx: Tx,
  _access: WriteAccess,
  hostId: HostId,
  demand: Demand,
  { isBack = false, isThere = false }: { isBack?: boolean; isThere?: boolean } = {},
): Promise<void> {
  if (isThere && demand.hugePages) await countOwnPages(tx, hostId, demand.hugePages);
  const host = await tx.selectFrom('hosts').selectAll().where('id', '=', hostId).forUpdate().executeTakeFirstOrThrow();
  if (host.state !== 'ready' && !isBack && !isThere) throw notReady(host);
  const claimsCpus = demand.cpu !== undefined && isExclusive(demand.cpu.policy);
  const freeVcpus = host.schedulable_vcpus - host.allocated_vcpus;
  const freeMemoryMib = host.schedulable_memory_mib - host.allocated_memory_mib;
  if ((freeVcpus < demand.vcpus && !claimsCpus) || freeMemoryMib < demand.memoryMib) {
    throw new VirgaError('NoCapacity', {
      detail: `Host ${host.name} has ${freeVcpus} vCPU and ${freeMemoryMib} MiB free; ${demand.vcpus} and ${demand.memoryMib} MiB are needed.`,
      action: 'Stop or delete another instance on the host, or try again later.',
    });
  }
  // What was available is known of before it was restarted.
  const short = noHugePages(host, demand) ?? (isBack || isThere ? undefined : belowFloor(host, demand));
  if (short) throw short;
  // On a host with one node, who shares has nothing of it, unless he gives something back.
  const { cpu } = demand;
  const hasOneNode = host.facts?.numaNodes.length === 1;
  const isHomeless = cpu === undefined || (cpu.policy === 'shared' && cpu.total === undefined && hasOneNode);
  if (!isHomeless && !(await claimCpus(tx, hostId, demand.cpu!, demand))) throw noCpus(`Host ${host.name} has`, demand);
  await allocation(tx, demand).where('id', '=', hostId).execute();
}

/** What the host has told of its huge pages may count those as somebody else's. */
async function countOwnPages(tx: Tx, hostId: HostId, { kib, count }: HugePages): Promise<void> {
  const host = await tx.selectFrom('hosts').selectAll().where('id', '=', hostId).forUpdate().executeTakeFirstOrThrow();
  if (!host.facts) return;
  const { total, allocated } = hugePageColumns(kib);
  const pages = hugePagesForGuests(host.facts, kib, host[allocated] + count);
  await tx
    .updateTable('hosts')
    .set({ [total]: pages })
    .where('id', '=', hostId)
    .execute();
}

/** Gives back what an instance held. */
export async function release(
  tx: Tx,
  _access: WriteAccess,
  hostId: HostId,
  { vcpus, memoryMib, hugePages, cpu }: Demand,
): Promise<void> {
  const given = hugePages && { ...hugePages, count: -hugePages.count };
  await allocation(tx, { vcpus: -vcpus, memoryMib: -memoryMib, hugePages: given }).where('id', '=', hostId).execute();
  if (cpu?.total) await trimCpus(tx, hostId, cpu.instanceId, cpu.total.vcpus);
  else if (cpu) await releaseCpus(tx, hostId, cpu.instanceId);
}

async function refusal(tx: Tx, demand: Demand): Promise<VirgaError> {
  const { vcpus, memoryMib, features = [], hostIds } = demand;
  const all = await tx.selectFrom('hosts').selectAll().orderBy('schedulable_memory_mib', 'desc').execute();
  const hosts = all.filter(({ id }) => hostIds?.includes(id) ?? true);
  const largest = hosts[0];
  if (!largest) {
    return new VirgaError('HostUnavailable', {
      detail: 'The cloud has no host.',
      action: 'Wait until the first host has registered, or read the log of the server.',
    });
  }
  const known = hosts.filter((host) => host.facts !== null);
  if (
    known.length > 0 &&
    !known.some((host) => host.schedulable_vcpus >= vcpus && host.schedulable_memory_mib >= memoryMib)
  ) {
    return new VirgaError('InstanceTypeTooLarge', {
      detail: `The type needs ${vcpus} vCPU and ${memoryMib} MiB; the largest host offers ${largest.schedulable_vcpus} vCPU and ${largest.schedulable_memory_mib} MiB.`,
      action: 'Choose a smaller type: virga types list.',
      field: '/type',
    });
  }
  const capable = (feature: HostFeature) =>
    hosts.filter(({ facts }) => facts?.features === undefined || facts.features.includes(feature));
  const missing = features.find((feature) => capable(feature).length === 0);
  if (missing) return hostIncapable(hosts.length === 1 ? `Host ${largest.name}` : 'Every host', missing);
  const ready = hosts.filter((host) => host.state === 'ready');
  if (ready.length === 0) return notReady(largest, hosts.length);
  const roomy = ready.filter(
    (host) =>
      host.schedulable_vcpus - host.allocated_vcpus >= vcpus &&
      host.schedulable_memory_mib - host.allocated_memory_mib >= memoryMib,
  );
  if (roomy.some((host) => host.storage_headroom_bytes <= 0)) {
    return new VirgaError('StorageFull', {
      detail: 'The storage of the hosts has no space left above its reserve.',
      action: 'Delete instances or images that are not needed, or add storage.',
    });
  }
  const short = shortage(hosts, roomy, demand);
  if (short) return short;
  if (demand.cpu && demand.cpu.policy !== 'shared') return noCpus('No host has', demand);
  return new VirgaError('NoCapacity', {
    detail: `No host has ${vcpus} vCPU and ${memoryMib} MiB free.`,
    action: 'Stop or delete an instance, choose a smaller type, or add a host.',
  });
}

function notReady(
  { name, state_reason, state_action }: Pick<Selectable<Database['hosts']>, 'name' | 'state_reason' | 'state_action'>,
  hostCount = 1,
): VirgaError {
  const others = hostCount > 1 ? `None of ${hostCount} hosts is ready. ` : '';
  return new VirgaError('HostUnavailable', {
    detail: `${others}Host ${name} is not ready: ${state_reason ?? 'it has not reported yet.'}`,
    action: state_action ?? 'Try again in a moment; if it stays so, read the log of the server.',
  });
}
