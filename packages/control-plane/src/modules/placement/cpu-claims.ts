// The rows of the CPUs of a host that belong to instances, and of the nodes in which instances are at home. Every function is
// to be called with the row of the host held, so that what is read stays so until it is written.
import type { CpuPolicy } from '@virga/contract/agent/desired';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { HostId, InstanceId } from '@virga/contract/ids';
import { sql } from 'kysely';
import type { Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
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

type Amount = { vcpus: number; memoryMib: number };

/**
 * Gives an instance what it asks for, in place of what it has; of that it keeps as much as it can.
 * @returns false when the host has no room for that: then it keeps what it has
 */
export async function claimCpus(
  tx: Tx,
  hostId: HostId,
  claim: CpuClaim,
  demanded: Amount & { hugePages?: unknown },
): Promise<boolean> {
  const { instanceId, policy, hostCpus, total = demanded } = claim;
  const [host, present] = [await readHostCpus(tx, hostId, instanceId), await cpusOf(tx, instanceId)];
  const grant = grantCpus(host, { policy, hostCpus: hostCpus ?? undefined, present, ...total });
  if (grant === undefined) return false;
  const hadAny = await forget(tx, instanceId);
  const { node, hostCpus: granted, idle } = grant;
  // Huge pages are counted for the whole host, so only who insists on one node is kept to its pages.
  const isAtHome = demanded.hugePages === undefined || policy === 'numa';
  if (node !== null && isAtHome && host.nodes.length > 1) {
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
  const used = await sql<{ node: number | null; vcpus: number; memory_mib: number }>`
    select n.node,
      -- Huge pages are counted apart.
      coalesce(sum(i.memory_mib + i.surplus_memory_mib) filter (where i.huge_page_kib is null), 0)::int as memory_mib,
      sum(case when i.cpu_policy in ('shared', 'numa') then i.vcpus + i.surplus_vcpus else 0 end)::int as vcpus
    from instances i left join instance_nodes n on n.instance_id = i.id
    where i.host_id = ${hostId} and i.allocated and i.id <> ${except ?? ''} group by n.node`.execute(tx);
  const amounts = used.rows.map(({ node, vcpus, memory_mib }) => ({ node, vcpus, memoryMib: memory_mib }));
  const facts = host.facts as HostFacts | null;
  const nodes = facts?.numaNodes ?? [];
  const totalMib = nodes.reduce((sum, { memoryMib }) => sum + memoryMib, 0);
  return {
    cpus: facts?.cpus ?? [],
    // What the host keeps of its memory, it keeps of each node.
    nodes: nodes.map(({ id, memoryMib }) => ({
      id,
      memoryMib: totalMib > 0 ? Math.floor((host.schedulable_memory_mib * memoryMib) / totalMib) : 0,
    })),
    reserved: new Set(host.reserved_cpus),
    held: new Set(held.map(({ cpu }) => cpu)),
    homes: new Map(amounts.flatMap(({ node, ...amount }) => (node === null ? [] : [[node, amount]]))),
    homeless: amounts.find(({ node }) => node === null) ?? { vcpus: 0, memoryMib: 0 },
    vcpusPerCpu: host.vcpus_per_cpu,
  };
}

async function tellDivided(tx: Tx, hostId: HostId): Promise<void> {
  await divideAnew(tx, hostId);
  await notify(tx, 'hosts', hostId);
}
