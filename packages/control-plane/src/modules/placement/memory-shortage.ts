// Why a host has no room for a guest although its vCPUs and ordinary memory would do: no huge pages, or too little memory that
// is really available. Pure.
import { hugePageName } from '@virga/contract/agent/host-memory';
import { VirgaError } from '@virga/contract/errors';
import type { Selectable } from 'kysely';
import type { Database } from '../../store/schema.ts';
import { hugePageColumns } from '../hosts/host-policy.ts';
import type { Demand } from './demand.ts';

type Host = Selectable<Database['hosts']>;

/** @param roomy those that have vCPUs and ordinary memory */
export function shortage(hosts: readonly Host[], roomy: readonly Host[], demand: Demand): VirgaError | undefined {
  const { hugePages } = demand;
  if (hugePages !== undefined) {
    const { total } = hugePageColumns(hugePages.kib);
    const largest = hosts.toSorted((one, other) => other[total] - one[total])[0];
    if (largest && largest[total] < hugePages.count) return noneReserved(largest, hugePages, hosts.length);
    const short = roomy.map((host) => noHugePages(host, demand));
    if (short.length > 0 && short.every((reason) => reason !== undefined)) return short[0];
  }
  const low = roomy.map((host) => belowFloor(host, demand));
  return low.length > 0 && low.every((reason) => reason !== undefined) ? low[0] : undefined;
}

/** @returns why its huge pages do not do; undefined when they do, or none are asked for */
export function noHugePages(host: Host, { hugePages }: Demand): VirgaError | undefined {
  if (hugePages === undefined) return undefined;
  const { total, allocated } = hugePageColumns(hugePages.kib);
  const free = Math.max(0, host[total] - host[allocated]);
  if (free >= hugePages.count) return undefined;
  if (host[total] < hugePages.count) return noneReserved(host, hugePages, 1);
  return new VirgaError('NoCapacity', {
    detail: `Host ${host.name} has ${free} of its ${host[total]} huge pages of ${hugePageName(hugePages.kib)} free; ${hugePages.count} are needed.`,
    action: 'Stop or delete another instance on huge pages there, or reserve more of them: docs/guides/memory.md.',
  });
}

function noneReserved(host: Host, { kib, count }: NonNullable<Demand['hugePages']>, hostCount: number): VirgaError {
  const { total } = hugePageColumns(kib);
  const size = hugePageName(kib);
  const has = host[total] === 0 ? `has no huge pages of ${size}` : `has only ${host[total]} huge pages of ${size}`;
  return new VirgaError('NoCapacity', {
    detail: `${hostCount > 1 ? 'No host has enough huge pages: h' : 'H'}ost ${host.name} ${has} reserved; ${count} are needed.`,
    action: 'Reserve huge pages on a host, or choose a type without them: docs/guides/memory.md.',
    field: '/type',
  });
}

/** @returns why the memory that is really there does not do; a guest on huge pages takes none of it, but for its process */
export function belowFloor(host: Host, { memoryMib, hugePages }: Demand): VirgaError | undefined {
  const { available_memory_mib: available, effective_floor_mib: floor, name } = host;
  if (memoryMib === 0 && hugePages === undefined) return undefined;
  if (available === null || available >= floor) return undefined;
  return new VirgaError('NoCapacity', {
    detail: `Host ${name} has ${available} MiB of memory available, and nothing is started there below ${floor} MiB.`,
    action: `Stop an instance there, or lower its floor: virga hosts set ${name} --memory-floor MIB.`,
  });
}
