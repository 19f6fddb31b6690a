// What an instance asks of a host's processors and memory.
import type { HostFeature } from '@virga/contract/agent/host-features';
import { type HugePageKib, hugePagesOf } from '@virga/contract/agent/host-memory';
import type { HostId } from '@virga/contract/ids';
import type { CpuClaim } from './cpu-claims.ts';

export type HugePages = { kib: HugePageKib; count: number };

export type Demand = {
  vcpus: number;
  /** Of ordinary pages. */
  memoryMib: number;
  hugePages?: HugePages | undefined;
  features?: HostFeature[] | undefined;
  /** Only these hosts will do; undefined: any. */
  hostIds?: HostId[] | undefined;
  /** Who it is for, and how its vCPUs are to run. */
  cpu?: CpuClaim | undefined;
};

/** A guest on huge pages takes whole ones, and nothing of the ordinary memory that is promised. */
export function demandOf(vcpus: number, memoryMib: number, hugePageKib: HugePageKib | null): Demand {
  if (hugePageKib === null) return { vcpus, memoryMib };
  return { vcpus, memoryMib: 0, hugePages: { kib: hugePageKib, count: hugePagesOf(memoryMib, hugePageKib) } };
}

export const isNothing = ({ vcpus, memoryMib, hugePages }: Demand): boolean =>
  vcpus === 0 && memoryMib === 0 && (hugePages?.count ?? 0) === 0;
