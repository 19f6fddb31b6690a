// How much of a host may be promised, as its administrator has it: ratios, floor, whose memory may be merged; and what
// follows from that and the host's facts for placement. Pure.
import type { HostFacts } from '@virga/contract/agent/host-facts';
import { type HugePageKib, hugePageSizes } from '@virga/contract/agent/host-memory';
import type { Host } from '@virga/contract/rest/hosts';
import type { Selectable, Updateable } from 'kysely';
import type { Settings } from '../../deps.ts';
import type { Database } from '../../store/schema.ts';
import { hugePagesForGuests, schedulable } from './capacity.ts';

type Row = Selectable<Database['hosts']>;
export type Policy = Pick<Row, (typeof policyColumns)[number]>;

export const policyColumns = [
  'vcpu_overcommit',
  'memory_overcommit',
  'memory_floor_mib',
  'ksm_scope',
  'allocated_huge_2m_pages',
  'allocated_huge_1g_pages',
] as const;

/** What placement reads, from what the host says and what was said of it. */
export function capacityColumns(facts: HostFacts, settings: Settings, policy: Policy): Updateable<Database['hosts']> {
  const { vcpus, memoryMib } = schedulable(facts, settings, policy);
  return {
    // Without what is dedicated or reserved: that is counted by whoever writes this down.
    schedulable_vcpus: vcpus,
    vcpus_per_cpu: policy.vcpu_overcommit ?? settings.vcpuOvercommit,
    schedulable_memory_mib: memoryMib,
    available_memory_mib: facts.memoryAvailableMib ?? null,
    effective_floor_mib: policy.memory_floor_mib ?? settings.memoryFloorMib,
  };
}

/** Huge pages that instances can have. Only from facts that were told just now: what is allocated goes on meanwhile. */
export function hugePageCounts(facts: HostFacts, row: Policy): Updateable<Database['hosts']> {
  return {
    huge_2m_pages: hugePagesForGuests(facts, 2048, row.allocated_huge_2m_pages),
    huge_1g_pages: hugePagesForGuests(facts, 1_048_576, row.allocated_huge_1g_pages),
  };
}

/** Names of the columns that count the huge pages of a size. */
export const hugePageColumns = (kib: HugePageKib) =>
  kib === 2048
    ? ({ total: 'huge_2m_pages', allocated: 'allocated_huge_2m_pages' } as const)
    : ({ total: 'huge_1g_pages', allocated: 'allocated_huge_1g_pages' } as const);

export function hugePagesOfHost(row: Row): Host['hugePages'] {
  return hugePageSizes.map((sizeKib) => {
    const { total, allocated } = hugePageColumns(sizeKib);
    return { sizeKib, total: row[total], allocated: row[allocated] };
  });
}
