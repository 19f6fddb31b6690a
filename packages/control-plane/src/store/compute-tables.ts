// Tables of hosts, instance types, images, networks and instances.
import type {
  BootDevice,
  CpuPolicy,
  DesiredInstance,
  DesiredReboot,
  DiskDriver,
  DiskLimits,
  Firmware,
  Hardware,
  NicLimits,
  OverlayChange,
  RestoredDisk,
  WatchdogAction,
} from '@virga/contract/agent/desired';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { HugePageKib } from '@virga/contract/agent/host-memory';
import type { ImageVerification } from '@virga/contract/agent/image-source';
import type { ObservedReason, ObservedState } from '@virga/contract/agent/observed';
import type { Problem } from '@virga/contract/errors';
import type {
  HostId,
  ImageId,
  InstanceId,
  NetworkId,
  NetworkInterfaceId,
  OperationId,
  PoolId,
  ProjectId,
  ScheduleId,
  TemplateId,
  UserId,
  VolumeId,
} from '@virga/contract/ids';
import type { Drift, DriftPolicy } from '@virga/contract/rest/definitions';
import type { KsmScope } from '@virga/contract/rest/host-memory';
import type { Autostart, CrashPolicy, ExpiryAction, Tags } from '@virga/contract/rest/instance-attributes';
import type { ScheduledAction } from '@virga/contract/rest/instance-schedules';
import type { InstanceState } from '@virga/contract/rest/instances';
import type { ColumnType, Generated, GeneratedAlways, JSONColumnType } from 'kysely';
import type { CreatedAt } from './foundation-tables.ts';
import type { StoredImageSource } from './image-tables.ts';

export type Visibility = 'private' | 'public';
export type DesiredState = 'running' | 'paused' | 'stopped' | 'hibernated' | 'deleted';

/** Why something failed for good, as it is kept until the clean-up is done. */
export type Failure = Pick<Problem, 'code' | 'detail' | 'action'>;

export type ComputeTables = {
  hosts: {
    id: HostId;
    name: string;
    driver: 'libvirt' | 'simulated';
    state: 'ready' | 'unreachable';
    /** Why it cannot be used, and what to do. */
    state_reason: string | null;
    state_action: string | null;
    facts: JSONColumnType<HostFacts> | null;
    schedulable_vcpus: Generated<number>;
    schedulable_memory_mib: Generated<number>;
    allocated_vcpus: Generated<number>;
    allocated_memory_mib: Generated<number>;
    /** Null, as the two that follow: as the cloud has it. */
    vcpu_overcommit: Generated<number | null>;
    memory_overcommit: Generated<number | null>;
    memory_floor_mib: Generated<number | null>;
    ksm_scope: Generated<KsmScope | null>;
    /** Null: the host does not say. */
    available_memory_mib: Generated<number | null>;
    /** Its own floor or that of the cloud. */
    effective_floor_mib: Generated<number>;
    huge_2m_pages: Generated<number>;
    huge_1g_pages: Generated<number>;
    allocated_huge_2m_pages: Generated<number>;
    allocated_huge_1g_pages: Generated<number>;
    /** Since when the relief valve holds memory of its guests. */
    relieving_since: Generated<Date | null>;
    /** Free disk space above the reserve; negative when it is used up. */
    storage_headroom_bytes: Generated<number>;
    last_seen_at: Date | null;
    /** The boot that its instances have been looked after for. */
    boot_id: string | null;
    /** CPUs that the host keeps for itself. */
    reserved_cpus: JSONColumnType<number[], string | undefined>;
    /** vCPUs that are promised for each shared CPU. */
    vcpus_per_cpu: Generated<number>;
    /** Grows whenever its CPUs are divided otherwise; the second is what the host has been told. */
    cpu_generation: Generated<number>;
    cpu_converged_generation: Generated<number>;
    created_at: CreatedAt;
  };
  instance_types: {
    name: string;
    vcpus: number;
    memory_mib: number;
    disk_gib: number;
    cpu_policy: Generated<CpuPolicy>;
    cpu_shares: Generated<number | null>;
    cpu_cap_percent: Generated<number | null>;
    /** Static huge pages of that size; null: ordinary ones. */
    huge_page_kib: Generated<HugePageKib | null>;
    /** Of root disks. */
    disk_driver: ColumnType<DiskDriver | null, string | null | undefined, string | null>;
    /** Name of the pools that root disks lie in. */
    pool: Generated<string | null>;
  };
  images: {
    id: ImageId;
    project_id: ProjectId;
    name: string;
    visibility: Visibility;
    state: 'pending' | 'available' | 'failed' | 'deleting';
    state_reason: string | null;
    /** `iso`: for a CD-ROM drive, and nothing is cloned from it. */
    kind: Generated<'disk' | 'iso'>;
    format: 'qcow2' | 'raw';
    virtual_size_bytes: number | null;
    file_size_bytes: number | null;
    sha256: string | null;
    default_user: string;
    minimum_memory_mib: number;
    /** Guests of it can be copied while they run. */
    warmable: Generated<boolean>;
    /** Where it came from; a file was found on the host that it was registered from. */
    source: JSONColumnType<StoredImageSource>;
    verification: ColumnType<ImageVerification | null, string | null | undefined, string | null>;
    created_at: CreatedAt;
  };
  networks: {
    id: NetworkId;
    project_id: ProjectId;
    name: string;
    visibility: Visibility;
    cidr: string;
    gateway: string;
    bridge: string;
    uuid: string;
    generation: Generated<number>;
    converged_generation: Generated<number>;
    desired: Generated<'active' | 'deleted'>;
    /** Why it cannot be brought up; a network that never came up is being removed again. */
    failure: JSONColumnType<Failure> | null;
    created_at: CreatedAt;
  };
  addresses: {
    network_id: NetworkId;
    address: string;
    /** Null when nobody holds the address. */
    nic_id: NetworkInterfaceId | null;
    /** Null while somebody holds the address; minus infinity when nobody ever has. */
    released_at: Date | null;
  };
  nics: {
    id: NetworkInterfaceId;
    instance_id: InstanceId;
    network_id: NetworkId;
    mac: string;
    address: string;
    limits: ColumnType<NicLimits | null, string | null | undefined, string | null>;
    /** The generation of the instance that asked for it, or for its end. */
    generation: Generated<number>;
    detaching: Generated<boolean>;
    position: Generated<number>;
  };
  instances: {
    id: InstanceId;
    project_id: ProjectId;
    name: string;
    /** Of the libvirt domain; follows the name. */
    domain_name: string;
    /** As the guest was called when it was launched. */
    guest_host_name: string;
    uuid: string;
    host_id: HostId;
    /** Null: its disk was empty at first. */
    image_id: ImageId | null;
    type: string;
    vcpus: number;
    memory_mib: number;
    /** Up to here it can grow while it runs; null: it cannot. */
    max_vcpus: number | null;
    max_memory_mib: number | null;
    /** What it holds of its host beyond its size, because it was larger and still uses that. */
    surplus_vcpus: Generated<number>;
    surplus_memory_mib: Generated<number>;
    /** What its memory is made of; null: ordinary pages. */
    huge_page_kib: Generated<HugePageKib | null>;
    /** The kernel is never to merge its pages, as of its next start. */
    no_merge: Generated<boolean>;
    /** The kernel may merge its pages, as long as it is on or its memory is saved. */
    merges: Generated<boolean>;
    disk_bytes: number;
    root_disk_id: VolumeId;
    root_disk_limits: ColumnType<DiskLimits | null, string | null | undefined, string | null>;
    /** Null: in the host's own storage. */
    /** Null: not said, which is linked. */
    root_clone: ColumnType<'linked' | 'full' | null, 'linked' | 'full' | null | undefined, 'linked' | 'full' | null>;
    root_pool_id: ColumnType<PoolId | null, PoolId | null | undefined, PoolId | null>;
    /** Its folder stays where it was launched: in this pool, or else in the storage of the host. */
    root_moved: Generated<boolean>;
    folder_pool_id: ColumnType<PoolId | null, PoolId | null | undefined, PoolId | null>;
    root_disk_driver: ColumnType<DiskDriver | null, string | null | undefined, string | null>;
    root_disk_restored: ColumnType<RestoredDisk | null, string | null | undefined, string | null>;
    firmware: Firmware;
    hardware: Generated<Hardware>;
    tpm: Generated<boolean>;
    watchdog: WatchdogAction | null;
    boot_order: JSONColumnType<BootDevice[], string | undefined>;
    cdrom_drive: Generated<boolean>;
    /** What lies in the drive. */
    cdrom_image_id: ImageId | null;
    /** The tray opens also when the guest has locked it. */
    cdrom_forced: Generated<boolean>;
    key_pairs: JSONColumnType<{ name: string; publicKey: string }[]>;
    user_data: string | null;
    desired: DesiredState;
    force_at: Date | null;
    reboot: JSONColumnType<DesiredReboot> | null;
    generation: Generated<number>;
    converged_generation: Generated<number>;
    /** The generation that last asked for another power state, or for a reboot. */
    power_generation: Generated<number>;
    /** The generation that last asked for another size. */
    resized_generation: Generated<number>;
    /** True while the instance holds its share of the host. */
    allocated: boolean;
    observed_state: Generated<ObservedState>;
    observed_reason: Generated<ObservedReason>;
    /** Null: its host shows none, as while it is off. */
    observed_vcpus: number | null;
    observed_memory_mib: number | null;
    /** Set when the instance cannot be brought to what was asked; cleared by the next verb. */
    failure: JSONColumnType<Failure> | null;
    /** Repairs in a row, and when the next may be tried. */
    failures: Generated<number>;
    retry_at: Date | null;
    /** The operation that the current generation belongs to. */
    operation_id: OperationId | null;
    created_at: CreatedAt;
    /** What it was to begin as a copy of; the template may be gone. */
    template_id: Generated<TemplateId | null>;
    launch_path: Generated<'cold' | 'warm'>;
    started_at: Date | null;
    state: GeneratedAlways<InstanceState>;
    cpu_policy: Generated<CpuPolicy>;
    cpu_shares: Generated<number | null>;
    cpu_cap_percent: Generated<number | null>;
    /** The host CPUs that an administrator has chosen for it; null: placement chooses. */
    cpu_wanted: ColumnType<number[] | null, string | null | undefined, string | null>;
    origin: Generated<DesiredInstance['origin']>;
    /** Its domain stays when the instance goes. */
    released: Generated<boolean>;
    overlay: JSONColumnType<OverlayChange[], string | undefined>;
    drift_policy: Generated<DriftPolicy>;
    /** What was last changed outside, and what was done about it. */
    drift: JSONColumnType<Drift & { hash: string /** That the decision belongs to. */; generation: number }> | null;
    description: Generated<string>;
    tags: ColumnType<Tags, string | undefined, string>;
    delete_protection: Generated<boolean>;
    autostart: Generated<Autostart>;
    crash_policy: Generated<CrashPolicy>;
    /** Null, as the two that follow, when it does not expire. */
    expires_at: Date | null;
    expiry_action: ExpiryAction | null;
    /** When there is something to do about it: to warn, then to act. */
    expiry_due_at: Date | null;
  };
  instance_schedules: {
    id: ScheduleId;
    instance_id: InstanceId;
    action: ScheduledAction;
    cron: string;
    /** IANA name. */
    time_zone: string;
    next_run_at: Date;
    /** Who made it, whose role decides; null when that user is gone. */
    user_id: UserId | null;
    user_name: string;
    created_at: CreatedAt;
  };
};
