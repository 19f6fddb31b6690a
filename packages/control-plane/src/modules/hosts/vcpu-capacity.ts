// How many vCPUs a host may promise, when some of its CPUs are its own or belong to single instances. Counted anew from what
// is written down whenever that changes, under the lock of the host's row, so that the sum cannot drift.

import type { HostId } from '@virga/contract/ids';
import { sql } from 'kysely';
import type { Tx } from '../../store/database.ts';

/** Those of dedicated CPUs, one each, and those of the shared ones, as many as are promised of each. */
export function vcpuCapacity(
  { cpuThreads, excluded, dedicatedVcpus }: { cpuThreads: number; excluded: number; dedicatedVcpus: number },
  vcpusPerCpu: number,
): number {
  return Math.floor(Math.max(0, cpuThreads - excluded) * vcpusPerCpu) + dedicatedVcpus;
}

/** Writes it down. The row of the host must be held, and say what it has. */
export async function recountVcpus(tx: Tx, id: HostId): Promise<void> {
  const host = await tx
    .selectFrom('hosts')
    .select(['facts', 'reserved_cpus', 'vcpus_per_cpu'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (!host?.facts) return;
  const held = await tx.selectFrom('host_cpus').select(['cpu', 'vcpu']).where('host_id', '=', id).execute();
  const isolated = (host.facts.cpus ?? []).filter((cpu) => cpu.isolated).map((cpu) => cpu.id);
  const excluded = new Set([...host.reserved_cpus, ...isolated, ...held.map(({ cpu }) => cpu)]).size;
  const dedicatedVcpus = held.filter(({ vcpu }) => vcpu !== null).length;
  const { cpuThreads } = host.facts;
  await tx
    .updateTable('hosts')
    .set({ schedulable_vcpus: vcpuCapacity({ cpuThreads, excluded, dedicatedVcpus }, host.vcpus_per_cpu) })
    .where('id', '=', id)
    .execute();
}

/** Its CPUs are divided otherwise from now on: its agent is to be told. */
export async function divideAnew(tx: Tx, id: HostId): Promise<void> {
  await tx.updateTable('hosts').set({ cpu_generation: sql`cpu_generation + 1` }).where('id', '=', id).execute();
  await recountVcpus(tx, id);
}
