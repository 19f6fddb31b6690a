// Rows of instances and of their network interfaces: reading them whole, and as what hosts and callers are told.
import { type DesiredInstance, type InstanceIdentity, instanceDefaults } from '@virga/contract/agent/desired';
import { fromProblem, type VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import { type Insertable, type Selectable, sql } from 'kysely';
import type { Failure } from '../../store/compute-tables.ts';
import type { Db, Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { allowedDevices } from '../hosts/disk-drivers.ts';
import { type KeptProject, keptProject } from '../projects/kept-project.ts';
import {
  attachedVolumesOf,
  type InstanceNic,
  type InstanceVolume,
  instanceNics,
  instanceVolumes,
  networkInterfacesOf,
  wantedNics,
  wantedVolumes,
} from './device-store.ts';
import { cpuTuningOf, instanceCpus, instanceNode, type PlacedCpus } from './instance-cpu.ts';
import { type KeptSchedule, keepsakeOf, keptSchedules } from './instance-keepsake.ts';

/** All of an instance but its user data, which can be large and matters to its host only. */
const columns = [
  'instances.id',
  'instances.project_id',
  'instances.name',
  'instances.domain_name',
  'instances.guest_host_name',
  'instances.uuid',
  'instances.host_id',
  'instances.image_id',
  'instances.type',
  'instances.vcpus',
  'instances.memory_mib',
  'instances.max_vcpus',
  'instances.max_memory_mib',
  'instances.surplus_vcpus',
  'instances.surplus_memory_mib',
  'instances.huge_page_kib',
  'instances.no_merge',
  'instances.merges',
  'instances.cpu_policy',
  'instances.cpu_shares',
  'instances.cpu_cap_percent',
  'instances.cpu_wanted',
  'instances.disk_bytes',
  'instances.root_disk_id',
  'instances.root_disk_limits',
  'instances.root_disk_driver',
  'instances.root_pool_id',
  'instances.root_clone',
  'instances.root_moved',
  'instances.folder_pool_id',
  'instances.root_disk_restored',
  'instances.firmware',
  'instances.hardware',
  'instances.tpm',
  'instances.watchdog',
  'instances.boot_order',
  'instances.cdrom_drive',
  'instances.cdrom_image_id',
  'instances.cdrom_forced',
  'instances.key_pairs',
  'instances.desired',
  'instances.force_at',
  'instances.reboot',
  'instances.generation',
  'instances.converged_generation',
  'instances.power_generation',
  'instances.resized_generation',
  'instances.allocated',
  'instances.observed_state',
  'instances.observed_reason',
  'instances.observed_vcpus',
  'instances.observed_memory_mib',
  'instances.failure',
  'instances.failures',
  'instances.retry_at',
  'instances.operation_id',
  'instances.created_at',
  'instances.started_at',
  'instances.template_id',
  'instances.launch_path',
  'instances.state',
  'instances.origin',
  'instances.released',
  'instances.overlay',
  'instances.drift_policy',
  'instances.drift',
  'instances.description',
  'instances.tags',
  'instances.delete_protection',
  'instances.autostart',
  'instances.crash_policy',
  'instances.expires_at',
  'instances.expiry_action',
  'instances.expiry_due_at',
] as const;

export type InstanceRow = Omit<Selectable<Database['instances']>, 'user_data'> &
  PlacedCpus & {
    host_name: string;
    host_state: 'ready' | 'unreachable';
    host_state_reason: string | null;
    image_name: string | null;
    default_user: string | null;
    cdrom_image_name: string | null;
    root_pool_name: string | null;
    root_move: Instance['rootDiskMove'];
    nics: InstanceNic[];
    volumes: InstanceVolume[];
  };

/** As the reconciler of its host needs it. */
export type InstanceOrder = InstanceRow & {
  user_data: string | null;
  schedules: KeptSchedule[];
  project: KeptProject;
  /** Keys of devices of its host on which write-back is allowed. */
  volatile_writeback: string[];
};

/** Answers what the database adds to it, and not the user data again. */
export const insertInstance = (tx: Tx, values: Insertable<Database['instances']>) =>
  tx.insertInto('instances').values(values).returning(columns).executeTakeFirstOrThrow();

const rootMove = sql<Instance['rootDiskMove']>`(
  select jsonb_build_object('poolId', m.pool_id, 'poolName', p.name, 'operationId', m.operation_id)
  from root_disk_moves m join pools p on p.id = m.pool_id where m.instance_id = instances.id)`;

/** Instances with all that belongs to them, in one query. */
export const selectInstances = (db: Db | Tx) =>
  db
    .selectFrom('instances')
    .innerJoin('hosts', 'hosts.id', 'instances.host_id')
    .leftJoin('images', 'images.id', 'instances.image_id')
    .leftJoin('images as discs', 'discs.id', 'instances.cdrom_image_id')
    .leftJoin('pools', 'pools.id', 'instances.root_pool_id')
    .select(columns)
    .select([
      'hosts.name as host_name',
      'hosts.state as host_state',
      'hosts.state_reason as host_state_reason',
      'images.name as image_name',
      'images.default_user',
      'discs.name as cdrom_image_name',
      'pools.name as root_pool_name',
      rootMove.as('root_move'),
      instanceNics.as('nics'),
      instanceVolumes.as('volumes'),
      instanceCpus.as('host_cpus'),
      instanceNode.as('numa_node'),
    ]);

export async function findInstance(db: Db | Tx, id: InstanceId): Promise<InstanceRow | undefined> {
  return selectInstances(db).where('instances.id', '=', id).executeTakeFirst();
}

export async function findInstanceOrder(db: Db, id: InstanceId): Promise<InstanceOrder | undefined> {
  return selectInstances(db)
    .select([
      'instances.user_data',
      keptSchedules.as('schedules'),
      keptProject('instances').as('project'),
      allowedDevices.as('volatile_writeback'),
    ])
    .where('instances.id', '=', id)
    .executeTakeFirst();
}

/** With every card that its host may know of. */
export function identityOf(row: InstanceRow, cloudId: string): InstanceIdentity {
  const nics = row.nics.map(({ id, networkId, mac, address }) => ({ id, networkId, mac, address }));
  return { id: row.id, cloudId, uuid: row.uuid, domainName: row.domain_name, nics };
}

/** What the host is asked for. @throws Error the instance is to be deleted, which is asked for in another way */
export function desiredInstanceOf(row: InstanceOrder, cloudId: string): DesiredInstance {
  if (row.desired === 'deleted') throw new Error(`instance ${row.id} is to be deleted`);
  return {
    ...instanceDefaults,
    ...identityOf(row, cloudId),
    projectId: row.project_id,
    name: row.name,
    description: row.description,
    generation: row.generation,
    vcpus: row.vcpus,
    maxVcpus: row.max_vcpus ?? row.vcpus,
    memoryMib: row.memory_mib,
    maxMemoryMib: row.max_memory_mib ?? row.memory_mib,
    cpu: cpuTuningOf(row),
    memoryBacking: { hugePageKib: row.huge_page_kib, mergeable: row.merges && !row.no_merge },
    ...hardwareOf(row),
    rootDisk: {
      id: row.root_disk_id,
      imageId: row.image_id,
      sizeBytes: row.disk_bytes,
      ...(row.root_disk_limits && { limits: row.root_disk_limits }),
      ...(row.root_disk_driver && { driver: row.root_disk_driver }),
      ...(row.root_pool_id && { pool: row.root_pool_id }),
      ...(row.root_clone === 'full' && { clone: row.root_clone }),
      ...(row.root_disk_restored && { restored: row.root_disk_restored }),
    },
    volumes: wantedVolumes(row),
    nics: wantedNics(row),
    seed: {
      hostName: row.guest_host_name,
      publicKeys: row.key_pairs.map(({ publicKey }) => publicKey),
      userData: row.user_data,
    },
    power:
      row.desired === 'stopped'
        ? { state: 'stopped', forceAt: (row.force_at ?? row.created_at).toISOString() }
        : { state: row.desired },
    reboot: row.reboot,
    ...(isCached(row) && { volatileWriteback: row.volatile_writeback }),
    overlay: row.overlay,
    // Until the host has done what was decided: the same change made again is another one.
    ...(row.drift && row.converged_generation < row.drift.generation && { settledDrift: row.drift.hash }),
    origin: row.origin,
    ...(row.template_id && { warm: { templateId: row.template_id } }),
    keepsake: keepsakeOf(row, columns),
  };
}

/** Whether it matters on which devices write-back is allowed. */
const isCached = ({ root_disk_driver, volumes }: InstanceRow): boolean =>
  [root_disk_driver, ...volumes.map(({ driver }) => driver)].some((driver) => driver?.cache === 'writeback');

const hardwareOf = (row: InstanceRow) => ({
  hardware: row.hardware,
  firmware: row.firmware,
  tpm: row.tpm,
  watchdog: row.watchdog,
  bootOrder: row.boot_order,
  cdrom: row.cdrom_drive ? { imageId: row.cdrom_image_id, forced: row.cdrom_forced } : null,
});

export function toInstance(row: InstanceRow): Instance {
  return {
    id: row.id,
    projectId: row.project_id,
    name: row.name,
    description: row.description,
    tags: row.tags,
    deleteProtection: row.delete_protection,
    autostart: row.autostart,
    crashPolicy: row.crash_policy,
    expiresAt: row.expires_at?.toISOString() ?? null,
    expiryAction: row.expiry_action,
    state: row.state,
    stateReason: stateReason(row),
    desiredState: row.desired,
    observedState: row.observed_state,
    generation: row.generation,
    type: row.type,
    vcpus: row.vcpus,
    maxVcpus: row.max_vcpus ?? row.vcpus,
    memoryMib: row.memory_mib,
    maxMemoryMib: row.max_memory_mib ?? row.memory_mib,
    cpu: cpuTuningOf(row),
    hugePageKib: row.huge_page_kib,
    noMerge: row.no_merge,
    mergesMemory: row.merges && hasMemory(row),
    observedVcpus: row.observed_vcpus,
    observedMemoryMib: row.observed_memory_mib,
    diskBytes: row.disk_bytes,
    imageId: row.image_id,
    imageName: row.image_name,
    hardware: row.hardware,
    firmware: row.firmware,
    tpm: row.tpm,
    watchdog: row.watchdog,
    bootOrder: row.boot_order,
    cdrom: row.cdrom_drive ? { imageId: row.cdrom_image_id, imageName: row.cdrom_image_name } : null,
    loginUser: row.default_user,
    keyPairs: row.key_pairs.map(({ name }) => name),
    hostId: row.host_id,
    hostName: row.host_name,
    origin: row.origin,
    domainName: row.domain_name,
    rootDiskId: row.root_disk_id,
    rootDiskLimits: row.root_disk_limits,
    rootDiskDriver: row.root_disk_driver,
    rootPoolId: row.root_pool_id,
    rootPoolName: row.root_pool_name,
    rootDiskMove: row.root_move,
    volumes: attachedVolumesOf(row),
    networkInterfaces: networkInterfacesOf(row),
    launchPath: row.launch_path,
    createdAt: row.created_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
  };
}

/** On its host, or saved there. */
const hasMemory = ({ allocated, desired, observed_state: observed }: InstanceRow): boolean =>
  allocated || desired === 'hibernated' || observed === 'hibernated';

function stateReason(row: InstanceRow): string | null {
  if (row.failure) return `${row.failure.detail} ${row.failure.action}`;
  if (row.host_state === 'unreachable') {
    return `Host ${row.host_name} cannot be reached${row.host_state_reason ? `: ${row.host_state_reason}` : '.'}`;
  }
  return row.state === 'paused' && row.observed_reason === 'storage-full'
    ? 'The guest stands still because there is no room where one of its disks lies: see virga pools. It goes on once there is.'
    : null;
}

/** The error behind a failure that was written down. */
export function failureError(failure: Failure): VirgaError {
  return fromProblem(failure);
}

/** The operation that an instance is being worked on for, if it has not ended. */
export async function openOperationOf(tx: Tx, id: OperationId | null): Promise<OperationId | undefined> {
  if (id === null) return undefined;
  const row = await tx
    .selectFrom('operations')
    .select('id')
    .where('id', '=', id)
    .where('state', 'in', ['queued', 'running'])
    .executeTakeFirst();
  return row?.id;
}
