// How the vCPUs of an instance run: the columns of it, what a launch makes of its type and of what was asked for, and which
// CPUs and node placement has given it.
import type { CpuTuning } from '@virga/contract/agent/desired';
import type { InstanceId } from '@virga/contract/ids';
import type { InstanceType } from '@virga/contract/rest/hosts';
import type { LaunchInstance } from '@virga/contract/rest/instances';
import { type Selectable, sql } from 'kysely';
import type { Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';

export type CpuColumns = Pick<Selectable<Database['instances']>, 'cpu_policy' | 'cpu_shares' | 'cpu_cap_percent'>;
/** As placement has given it: CPU of each vCPU, none when it shares; null: no node. */
export type PlacedCpus = { host_cpus: number[]; numa_node: number | null };

/** To be selected with an instance. */
export const instanceCpus = sql<number[]>`(
  select coalesce(json_agg(c.cpu order by c.vcpu), '[]'::json)
  from host_cpus c where c.instance_id = instances.id and c.vcpu is not null)`;
export const instanceNode = sql<number | null>`(
  select n.node from instance_nodes n where n.instance_id = instances.id)`;

/** What it was given in this transaction, before its own row is there. */
export async function readInstanceCpus(tx: Tx, id: InstanceId): Promise<PlacedCpus> {
  const { rows } = await sql<PlacedCpus>`
    select ${instanceCpus} as host_cpus, ${instanceNode} as numa_node from (select ${id}::text as id) instances`.execute(
    tx,
  );
  return rows[0]!;
}

/** As the type has it, unless the launch says otherwise. */
export const planCpu = (
  type: InstanceType,
  { cpuPolicy, cpuShares, cpuCapPercent }: Pick<LaunchInstance, 'cpuPolicy' | 'cpuShares' | 'cpuCapPercent'> = {},
): CpuColumns => ({
  cpu_policy: cpuPolicy ?? type.cpuPolicy ?? 'shared',
  cpu_shares: cpuShares ?? type.cpuShares ?? null,
  cpu_cap_percent: cpuCapPercent ?? type.cpuCapPercent ?? null,
});

export const cpuTuningOf = (row: CpuColumns & PlacedCpus): CpuTuning => ({
  policy: row.cpu_policy,
  hostCpus: row.host_cpus,
  node: row.numa_node,
  shares: row.cpu_shares,
  capPercent: row.cpu_cap_percent,
});
