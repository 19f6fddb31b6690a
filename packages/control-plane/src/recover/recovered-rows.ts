// Rows of a lost database, from what its hosts were given to keep. Pure; the inverse of the keepsakes that modules make. What
// carries no keepsake, or one of another shape, is none of these.
import type { FoundInstance, FoundNetwork } from '@virga/contract/agent/inventory';
import type { ObservedImage } from '@virga/contract/agent/observed';
import type { HostId } from '@virga/contract/ids';
import type { Insertable } from 'kysely';
import type { KeptSchedule } from '../modules/instances/instance-keepsake.ts';
import type { KeptProject } from '../modules/projects/kept-project.ts';
import type { Database } from '../store/schema.ts';

type Kept = { project: KeptProject; row: Record<string, unknown> };
export type KeptHost = { id: HostId; name: string };

export function keptOf(keepsake: Record<string, unknown> | undefined): Kept | undefined {
  const { project, row } = keepsake ?? {};
  const isKept = typeof project === 'object' && project !== null && typeof row === 'object' && row !== null;
  return isKept ? ({ project, row } as Kept) : undefined;
}

export function hostOf({ desired: { keepsake } }: FoundInstance): KeptHost | undefined {
  const host = keepsake.host as KeptHost | undefined;
  return typeof host?.id === 'string' && typeof host.name === 'string' ? host : undefined;
}

export const schedulesOf = ({ desired: { keepsake } }: FoundInstance): KeptSchedule[] =>
  Array.isArray(keepsake.schedules) ? keepsake.schedules : [];

/** The row of an instance; what it was last asked for counts as reached, and what is not so is looked at by the reconciler. */
export function instanceRow({ desired, observed }: FoundInstance, hostId: HostId): Insertable<Database['instances']> {
  const { keepsake, generation } = desired;
  const { row } = keptOf(keepsake)!;
  const { tags, deleteProtection, autostart, crashPolicy, expiresAt, expiryAction } = keepsake;
  const { pool: rootPoolId = null, clone: rootClone = row.root_clone } = desired.rootDisk;
  const isOn = observed.state !== 'stopped' && observed.state !== 'hibernated' && observed.state !== 'absent';
  const { vcpus = desired.vcpus, memoryMib = desired.memoryMib } = observed.sizes ?? {};
  return writable({
    ...row,
    tags,
    delete_protection: deleteProtection,
    autostart,
    crash_policy: crashPolicy,
    expires_at: expiresAt,
    expiry_action: expiryAction,
    host_id: hostId,
    // It may have been moved since the row was kept.
    root_pool_id: rootPoolId,
    root_clone: rootClone,
    root_moved: row.root_moved === true || row.root_pool_id !== rootPoolId,
    generation,
    converged_generation: generation,
    observed_state: observed.state,
    observed_reason: observed.reason,
    observed_vcpus: observed.sizes?.vcpus ?? null,
    observed_memory_mib: observed.sizes?.memoryMib ?? null,
    // A guest that was asked for memory may still have it.
    surplus_vcpus: Math.max(0, vcpus - desired.vcpus),
    surplus_memory_mib: Math.max(0, memoryMib - desired.memoryMib),
    allocated: isOn || desired.power.state === 'running' || desired.power.state === 'paused',
    failure: null,
    retry_at: null,
    operation_id: null,
    started_at: null,
    user_data: null,
  }) as Insertable<Database['instances']>;
}

export function networkRow({ generation, keepsake }: FoundNetwork): Insertable<Database['networks']> {
  const { row } = keptOf(keepsake)!;
  return writable({ ...row, generation, converged_generation: generation, failure: null }) as Insertable<
    Database['networks']
  >;
}

export function imageRow({ keepsake, virtualSizeBytes, fileSizeBytes, sha256, verification }: ObservedImage) {
  const { row } = keptOf(keepsake)!;
  return writable({
    ...row,
    state: 'available',
    state_reason: null,
    virtual_size_bytes: virtualSizeBytes,
    file_size_bytes: fileSizeBytes,
    sha256,
    ...(verification && { verification }),
  }) as Insertable<Database['images']>;
}

/** JSON columns take text: an array would be taken for one of PostgreSQL's. */
export function writable(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === 'object' && value !== null ? JSON.stringify(value) : value,
    ]),
  );
}
