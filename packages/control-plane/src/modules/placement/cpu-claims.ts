// The rows of the CPUs of a host that belong to instances, and of the nodes in which instances are at home. Every function is
// to be called with the row of the host held, so that what is read stays so until it is written.
import type { CpuPolicy } from '@virga/contract/agent/desired';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import { type HugePageKib, hugePageSizes } from '@virga/contract/agent/host-memory';
import type { HostId, InstanceId } from '@virga/contract/ids';
import { type Selectable, sql } from 'kysely';
import type { Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import type { Database } from '../../store/schema.ts';
import { hugePageColumns } from '../hosts/host-policy.ts';
import { divideAnew } from '../hosts/vcpu-capacity.ts';
import { coresOf, grantCpus, type HostCpus } from './cpu-grant.ts';

/** What an instance asks of the CPUs of its host, or has of them. */
export type CpuClaim = {
  instanceId: InstanceId;
  policy: CpuPolicy;
  /** Those that an administrator has chosen for it. */
  hostCpus?: readonly number[] | null | undefined;
  /** Its size, when what is taken or given back is only a part of that. */
  total?: Amount | undefined;
};

/** Memory of ordinary pages. */
type Amount = {
  vcpus: number;
  memoryMib: number;
  hugePages?: { kib: HugePageKib; count: number } | undefined;
};

/**
 * Gives an instance what it asks for, in place of what it has; of that it keeps as much as it can.
 * @returns false when the host has no room for that: then it keeps what it has
 */
export async function claimCpus(tx: Tx, hostId: HostId, claim: CpuClaim, demanded: Amount): Promise<boolean> {
  const { instanceId, policy, hostCpus, total = demanded } = claim;
  const [host, present] = [await readHostCpus(tx, hostId, instanceId), await cpusOf(tx, instanceId)];
  const { vcpus, memoryMib, hugePages } = total;
  const grant = grantCpus(host, {
    policy,
    hostCpus: hostCpus ?? undefined,
    present,
    ...{ vcpus, memoryMib, hugePages },
  });
  if (grant === undefined) return false;
  const hadAny = await forget(tx, instanceId);
  const { node, hostCpus: granted, idle } = grant;
  if (node !== null && host.nodes.length > 1) {
    await tx.insertInto('instance_nodes').values({ instance_id: instanceId, host_id: hostId, node }).execute();
  }
  if (granted.length > 0) {
    const row = { host_id: hostId, instance_id: instanceId };
    const used = granted.map((cpu, vcpu) => ({ ...row, cpu, vcpu }));
    await tx
      .insertInto('host_cpus')
      .values([...used, ...idle.map((cpu) => ({ ...row, cpu, vcpu: null }))])
      .execute();
  }
  if (hadAny || granted.length > 0) await tellDivided(tx, hostId);
  return true;
}

/** Gives back all that an instance has. */
export async function releaseCpus(tx: Tx, hostId: HostId, instanceId: InstanceId): Promise<void> {
  if (await forget(tx, instanceId)) await tellDivided(tx, hostId);
}

/** @returns whether it had CPUs for itself */
async function forget(tx: Tx, instanceId: InstanceId): Promise<boolean> {
  const { rows } = await sql`
    with home as (delete from instance_nodes where instance_id = ${instanceId})
    delete from host_cpus where instance_id = ${instanceId} returning cpu`.execute(tx);
  return rows.length > 0;
}

/** Gives back what an instance has beyond that many vCPUs. Of a core that it still uses, the rest stays idle. */
export async function trimCpus(tx: Tx, hostId: HostId, instanceId: InstanceId, vcpus: number): Promise<void> {
  const { facts } = await tx.selectFrom('hosts').select('facts').where('id', '=', hostId).executeTakeFirstOrThrow();
  const rows = await tx.selectFrom('host_cpus').selectAll().where('instance_id', '=', instanceId).execute();
  if (rows.length === 0) return;
  const coreOf = (id: number) => {
    const cpu = facts?.cpus.find((one) => one.id === id);
    return cpu ? `${cpu.node}/${cpu.socket}/${cpu.core}` : `${id}`;
  };
  const used = new Set(rows.filter(({ vcpu }) => vcpu !== null && vcpu < vcpus).map(({ cpu }) => coreOf(cpu)));
  const own = tx.deleteFrom('host_cpus').where('instance_id', '=', instanceId);
  const freed = rows.filter(({ cpu }) => !used.has(coreOf(cpu))).map(({ cpu }) => cpu);
  if (freed.length > 0) await own.where('cpu', 'in', freed).execute();
  await tx
    .updateTable('host_cpus')
    .set({ vcpu: null })
    .where('instance_id', '=', instanceId)
    .where('vcpu', '>=', vcpus)
    .execute();
  await tellDivided(tx, hostId);
}

/** Gives each instance the rest of its cores: what its host has said of them may be news. */
export async function completeCores(tx: Tx, hostId: HostId): Promise<void> {
  const host = await tx.selectFrom('hosts').select('facts').where('id', '=', hostId).forUpdate().executeTakeFirst();
  const held = await tx.selectFrom('host_cpus').selectAll().where('host_id', '=', hostId).execute();
  const ownerOf = new Map(held.map(({ cpu, instance_id }) => [cpu, instance_id]));
  const missing = coresOf(host?.facts?.cpus ?? []).flatMap((core) => {
    const owner = core.map(({ id }) => ownerOf.get(id)).find((id) => id !== undefined);
    const free = core.filter(({ id }) => !ownerOf.has(id));
    return owner === undefined ? [] : free.map(({ id }) => ({ cpu: id, instance_id: owner }));
  });
  if (missing.length === 0) return;
  await tx
    .insertInto('host_cpus')
    .values(missing.map((row) => ({ ...row, host_id: hostId, vcpu: null })))
    .execute();
  await tellDivided(tx, hostId);
}

/** CPU of each vCPU of an instance that has some for itself. */
export async function cpusOf(tx: Tx, instanceId: InstanceId): Promise<number[]> {
  const rows = await tx
    .selectFrom('host_cpus')
    .select('cpu')
    .where('instance_id', '=', instanceId)
    .where('vcpu', 'is not', null)
    .orderBy('vcpu')
    .execute();
  return rows.map(({ cpu }) => cpu);
}

/** @param except whose CPUs count as free, and whose size is not counted */
export async function readHostCpus(tx: Tx, hostId: HostId, except?: InstanceId): Promise<HostCpus> {
  const host = await tx.selectFrom('hosts').selectAll().where('id', '=', hostId).executeTakeFirstOrThrow();
  const held = await tx
    .selectFrom('host_cpus')
    .select('cpu')
    .where('host_id', '=', hostId)
    .where('instance_id', 'is distinct from', except ?? null)
    .execute();
  const used = await sql<{
    node: number | null;
    vcpus: number;
    memory_mib: number;
    pages_2m: number;
    pages_1g: number;
  }>`
    select n.node,
      -- Huge pages are counted apart.
      coalesce(sum(i.memory_mib + i.surplus_memory_mib) filter (where i.huge_page_kib is null), 0)::int as memory_mib,
      coalesce(sum((i.memory_mib + i.surplus_memory_mib) / 2) filter (where i.huge_page_kib = 2048), 0)::int as pages_2m,
      coalesce(sum((i.memory_mib + i.surplus_memory_mib) / 1024) filter (where i.huge_page_kib = 1048576), 0)::int as pages_1g,
      sum(case when i.cpu_policy in ('shared', 'numa') then i.vcpus + i.surplus_vcpus else 0 end)::int as vcpus
    from instances i left join instance_nodes n on n.instance_id = i.id
    where i.host_id = ${hostId} and i.allocated and i.id <> ${except ?? ''} group by n.node`.execute(tx);
  const amounts = used.rows.map(({ node, vcpus, memory_mib, pages_2m, pages_1g }) => {
    return { node, vcpus, memoryMib: memory_mib, hugePages: { 2048: pages_2m, 1048576: pages_1g } };
  });
  const facts = host.facts as HostFacts | null;
  const nodes = facts?.numaNodes ?? [];
  const totalMib = nodes.reduce((sum, { memoryMib }) => sum + memoryMib, 0);
  return {
    cpus: facts?.cpus ?? [],
    // What the host keeps of its memory, it keeps of each node.
    nodes: nodes.map(({ id, memoryMib }) => ({
      id,
      memoryMib: totalMib > 0 ? Math.floor((host.schedulable_memory_mib * memoryMib) / totalMib) : 0,
      hugePages: Object.fromEntries(hugePageSizes.map((kib) => [kib, pagesIn(host, nodes, id, kib)])),
    })),
    reserved: new Set(host.reserved_cpus),
    held: new Set(held.map(({ cpu }) => cpu)),
    homes: new Map(amounts.flatMap(({ node, ...amount }) => (node === null ? [] : [[node, amount]]))),
    homeless: amounts.find(({ node }) => node === null) ?? { vcpus: 0, memoryMib: 0 },
    vcpusPerCpu: host.vcpus_per_cpu,
  };
}

/** What others use of a host's huge pages, they use of each node. */
function pagesIn(
  host: Selectable<Database['hosts']>,
  nodes: HostFacts['numaNodes'],
  id: number,
  kib: HugePageKib,
): number {
  const totalOf = (some: HostFacts['numaNodes']) =>
    some
      .flatMap(({ hugePages }) => hugePages)
      .reduce((sum, { sizeKib, total }) => sum + (sizeKib === kib ? total : 0), 0);
  const all = totalOf(nodes);
  const own = totalOf(nodes.filter((node) => node.id === id));
  return all > 0 ? Math.floor((host[hugePageColumns(kib).total] * own) / all) : 0;
}

async function tellDivided(tx: Tx, hostId: HostId): Promise<void> {
  await divideAnew(tx, hostId);
  await notify(tx, 'hosts', hostId);
}
