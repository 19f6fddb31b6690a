// What an instance holds of its host: its size, and of a larger one that it had what its guest has not given back. Room that a
// guest still uses is promised to nobody else.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { inTransaction } from '../../store/database.ts';
import { isExclusive } from '../placement/cpu-grant.ts';
import { type Demand, demandOf, isNothing } from '../placement/demand.ts';
import { release } from '../placement/placement.ts';
import type { InstanceRow } from './instance-store.ts';

type Held = Pick<InstanceRow, (typeof heldColumns)[number]>;
type Surplus = Pick<InstanceRow, 'surplus_vcpus' | 'surplus_memory_mib'>;

/** Columns of a row that {@link heldBy} needs. */
export const heldColumns = [
  ...(['id', 'vcpus', 'memory_mib', 'surplus_vcpus', 'surplus_memory_mib'] as const),
  ...(['huge_page_kib', 'cpu_policy'] as const),
] as const;

/** All that it holds, as long as it is allocated. */
export const heldBy = (row: Held): Demand => ({
  ...demandOf(row.vcpus + row.surplus_vcpus, row.memory_mib + row.surplus_memory_mib, row.huge_page_kib),
  cpu: { instanceId: row.id, policy: row.cpu_policy },
});

/** What it needs to be started. */
export const neededBy = (
  row: Pick<InstanceRow, 'id' | 'vcpus' | 'memory_mib' | 'huge_page_kib' | 'cpu_policy' | 'cpu_wanted'>,
): Demand => ({
  ...demandOf(row.vcpus, row.memory_mib, row.huge_page_kib),
  cpu: { instanceId: row.id, policy: row.cpu_policy, hostCpus: row.cpu_wanted },
});

/** What is written when all of it has been given back. */
export const unallocated = { allocated: false, surplus_vcpus: 0, surplus_memory_mib: 0 } as const;

/** What it holds beyond its size when a guest has shown that much. */
export function surplusLeft(row: Held, { sizes }: Pick<ObservedInstance, 'sizes'>): Surplus {
  const left = (surplus: number, size: number, seen = size) => Math.min(surplus, Math.max(0, seen - size));
  return {
    surplus_vcpus: left(row.surplus_vcpus, row.vcpus, sizes?.vcpus),
    surplus_memory_mib: left(row.surplus_memory_mib, row.memory_mib, sizes?.memoryMib),
  };
}

/** The difference between two surpluses of the same size. */
export function givenBack(before: Held, after: Surplus): Demand {
  const vcpus = before.surplus_vcpus - after.surplus_vcpus;
  const demand = demandOf(vcpus, before.surplus_memory_mib - after.surplus_memory_mib, before.huge_page_kib);
  if (vcpus === 0 || !isExclusive(before.cpu_policy)) return demand;
  const total = { vcpus: before.vcpus + after.surplus_vcpus, memoryMib: before.memory_mib };
  return { ...demand, cpu: { instanceId: before.id, policy: before.cpu_policy, total } };
}

/** Whether a row has the sizes that its host shows. */
export const showsSizes = (
  row: Pick<InstanceRow, 'observed_vcpus' | 'observed_memory_mib'>,
  { sizes }: Pick<ObservedInstance, 'sizes'>,
): boolean => row.observed_vcpus === (sizes?.vcpus ?? null) && row.observed_memory_mib === (sizes?.memoryMib ?? null);

/** A guest may take its time to give memory back. What it has given back can be promised to others. */
export async function recordGivenBack(
  { deps, access }: { deps: Deps; access: SystemAccess },
  { id, host_id, generation }: InstanceRow,
  observed: ObservedInstance,
): Promise<void> {
  await inTransaction(deps.db, async (tx) => {
    const current = await tx
      .selectFrom('instances')
      .select(heldColumns)
      .where('id', '=', id)
      .where('generation', '=', generation)
      .where('allocated', '=', true)
      .forUpdate()
      .executeTakeFirst();
    if (!current) return;
    const left = surplusLeft(current, observed);
    const freed = givenBack(current, left);
    if (isNothing(freed)) return;
    await tx.updateTable('instances').set(left).where('id', '=', id).execute();
    await release(tx, access, host_id, freed);
  });
}
