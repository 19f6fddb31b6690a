// The rules of pools, pure: what state one is in, how much of it may be promised, when it is low, and what its hosts are told.
import type { DesiredPool, PoolPlace } from '@virga/contract/agent/pools';
import { VirgaError } from '@virga/contract/errors';
import type { Pool } from '@virga/contract/rest/pools';
import type { Selectable } from 'kysely';
import type { Database } from '../../store/schema.ts';
import type { Seal } from '../identity/seal.ts';

export type PoolRow = Selectable<Database['pools']>;

export type PoolHostView = {
  hostId: Selectable<Database['hosts']>['id'];
  hostName: string;
  hostState: 'ready' | 'unreachable';
  convergedGeneration: number;
  failure: { detail: string; action: string } | null;
  abilities: Pool['hosts'][number]['abilities'];
};

export const createPoolKind = 'pool.create';

/** An alarm ends a little above the space at which it is raised, so that it does not come and go. */
const hysteresisPercent = 2;

export function poolState({ desired }: Pick<PoolRow, 'desired'>, hosts: readonly PoolHostView[]): Pool['state'] {
  if (desired === 'deleted') return 'deleting';
  if (hosts.some(isOpen)) return 'ready';
  return hosts.some(({ failure }) => failure !== null) ? 'unavailable' : 'pending';
}

/** A change that its host has yet to hear of does not end that a pool is used. */
const isOpen = ({ convergedGeneration, failure }: PoolHostView): boolean => convergedGeneration > 0 && failure === null;

export const isUsable = (host: PoolHostView): boolean => isOpen(host) && host.hostState === 'ready';

export const usableHosts = (hosts: readonly PoolHostView[]): PoolHostView[] => hosts.filter(isUsable);

/** @param wasLow as it was before */
export function isLow(
  {
    capacity_bytes: capacity,
    free_bytes: free,
    low_space_percent: percent,
  }: Pick<PoolRow, 'capacity_bytes' | 'free_bytes' | 'low_space_percent'>,
  wasLow: boolean,
): boolean {
  if (capacity === null || free === null || capacity === 0) return wasLow;
  const freePercent = (100 * free) / capacity;
  return freePercent < percent || (wasLow && freePercent < percent + hysteresisPercent && percent > 0);
}

/**
 * @param addBytes what is to be promised more
 * @param takenBytes how much of that is taken at once
 * @throws StorageFull
 */
export function refusePromise(
  pool: Pick<PoolRow, 'name' | 'capacity_bytes' | 'free_bytes' | 'overcommit'>,
  { allocatedBytes, addBytes, takenBytes }: { allocatedBytes: number; addBytes: number; takenBytes: number },
  field: string,
): void {
  const { name, capacity_bytes: capacity, free_bytes: free, overcommit } = pool;
  if (capacity !== null && overcommit !== null && allocatedBytes + addBytes > capacity * overcommit) {
    throw new VirgaError('StorageFull', {
      detail:
        `Pool ${name} has ${gib(capacity)}, of which ${overcommit} times as much may be promised; ` +
        `${gib(allocatedBytes)} are, and ${gib(addBytes)} more do not fit.`,
      action:
        'Ask for less, delete volumes that are no longer needed, or let an administrator allow more: virga pools set.',
      field,
    });
  }
  if (free !== null && takenBytes > free) {
    throw new VirgaError('StorageFull', {
      detail: `Pool ${name} has ${gib(free)} free, and ${gib(takenBytes)} would be taken of it at once.`,
      action: 'Ask for less, or for a volume that takes what is written to it: preallocation off.',
      field,
    });
  }
}

const gib = (bytes: number): string => `${Math.round((10 * bytes) / 1024 ** 3) / 10} GiB`;

/** What hosts keep of a row, for a database that is lost. */
export type KeptPool = {
  createdAt: string;
  overcommit: number | null;
  lowSpacePercent: number;
  isDefault: boolean;
  keySealed: string | null;
};

/** What hosts are told; undefined of their own storage. */
export function desiredPoolOf(row: PoolRow, cloudId: string, seal: Seal): DesiredPool | undefined {
  const place = placeOf(row, seal);
  const { id, generation, name, opened: mustExist } = row;
  const keepsake: KeptPool = {
    createdAt: row.created_at.toISOString(),
    overcommit: row.overcommit,
    lowSpacePercent: row.low_space_percent,
    isDefault: row.is_default,
    // Opens nowhere but in this cloud, with the key that lies outside its database.
    keySealed: row.key_sealed?.toString('base64') ?? null,
  };
  return place && { id, cloudId, generation, name, mustExist, place, keepsake };
}

function placeOf({ id, driver, path, ceph, key_sealed: sealed }: PoolRow, seal: Seal): PoolPlace | undefined {
  if (driver === 'local') return undefined;
  if (driver !== 'rbd') return { driver, path: path! };
  const { monitors, pool, user } = ceph!;
  return { driver, monitors, cephPool: pool, user, key: seal.open(sealed!, id) };
}
