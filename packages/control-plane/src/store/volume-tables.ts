// Tables of volumes and of what instances have of them.
import type { DiskDriver, DiskLimits, RestoredDisk } from '@virga/contract/agent/desired';
import type { SnapshotDisk } from '@virga/contract/agent/snapshots';
import type { Preallocation, VolumeFormat } from '@virga/contract/agent/volumes';
import type { HostId, ImageId, InstanceId, OperationId, PoolId, ProjectId, VolumeId } from '@virga/contract/ids';
import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { Failure } from './compute-tables.ts';
import type { CreatedAt } from './foundation-tables.ts';

export type VolumeTables = {
  volumes: {
    id: VolumeId;
    project_id: ProjectId;
    name: string;
    size_bytes: number;
    /** What is on it may be lost. */
    scratch: Generated<boolean>;
    host_id: HostId;
    /** The database fills in the host's own storage. */
    pool_id: ColumnType<PoolId, PoolId | undefined, PoolId>;
    type: string | null;
    format: Generated<VolumeFormat>;
    preallocation: Generated<Preallocation>;
    image_id: ImageId | null;
    clone: 'linked' | 'full' | null;
    passphrase_sealed: Buffer | null;
    limits: ColumnType<DiskLimits | null, string | null | undefined, string | null>;
    delete_protection: Generated<boolean>;
    wipe: Generated<boolean>;
    used_bytes: number | null;
    /** What it is made of at first, when it was fetched from a backup store. */
    restored: ColumnType<RestoredDisk | null, string | null | undefined, string | null>;
    /** What it is a copy of at first; that may be gone since. */
    snapshot: ColumnType<SnapshotDisk | null, string | null | undefined, string | null>;
    desired: Generated<'available' | 'deleted'>;
    generation: Generated<number>;
    converged_generation: Generated<number>;
    /** Why it cannot be used; a volume that never came to be is being removed again. */
    failure: JSONColumnType<Failure> | null;
    created_at: CreatedAt;
  };
  volume_moves: {
    volume_id: VolumeId;
    token: string;
    operation_id: OperationId;
    /** Where it is to lie. */
    pool_id: PoolId;
    format: VolumeFormat;
    bandwidth_bytes_per_second: number | null;
    wipe: boolean;
    is_cancelled: Generated<boolean>;
    is_switching: Generated<boolean>;
  };
  root_disk_moves: {
    instance_id: InstanceId;
    token: string;
    operation_id: OperationId;
    /** Where it is to lie; the storage of the host is a pool too. */
    pool_id: PoolId;
    bandwidth_bytes_per_second: number | null;
    wipe: boolean;
    is_cancelled: Generated<boolean>;
    is_switching: Generated<boolean>;
  };
  volume_attachments: {
    volume_id: VolumeId;
    instance_id: InstanceId;
    /** Its place in the guest, such as vdc. */
    target: string;
    read_only: boolean;
    limits: JSONColumnType<DiskLimits> | null;
    driver: ColumnType<DiskDriver | null, string | null | undefined, string | null>;
    /** The generation of the instance that asked for it, or for its end. */
    generation: number;
    detaching: Generated<boolean>;
    delete_with_instance: Generated<boolean>;
  };
  /** Devices on which an administrator allows write-back in spite of what they say. */
  host_volatile_writeback: {
    host_id: HostId;
    device_key: string;
    device_name: string;
    allowed_by: string;
    allowed_at: Date;
  };
};
