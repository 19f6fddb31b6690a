// Tables of storage pools and of volume types.
import type { DiskLimits } from '@virga/contract/agent/desired';
import type { PoolAbilities } from '@virga/contract/agent/pools';
import type { Preallocation, VolumeFormat } from '@virga/contract/agent/volumes';
import type { HostId, ImageId, PoolId } from '@virga/contract/ids';
import type { ColumnType, Generated } from 'kysely';
import type { Failure } from './compute-tables.ts';
import type { CreatedAt } from './foundation-tables.ts';

type Json<T> = ColumnType<T | null, string | null | undefined, string | null>;

export type PoolTables = {
  pools: {
    id: PoolId;
    name: string;
    /** `local`: the host's own storage. */
    driver: 'local' | 'directory' | 'shared-directory' | 'rbd';
    /** Null: several hosts see it. */
    host_id: HostId | null;
    path: string | null;
    ceph: Json<{ monitors: string[]; pool: string; user: string }>;
    key_sealed: Buffer | null;
    desired: Generated<'available' | 'deleted'>;
    generation: Generated<number>;
    opened: Generated<boolean>;
    capacity_bytes: number | null;
    free_bytes: number | null;
    overcommit: number | null;
    low_space_percent: Generated<number>;
    is_low: Generated<boolean>;
    is_default: Generated<boolean>;
    created_at: CreatedAt;
  };
  pool_hosts: {
    pool_id: PoolId;
    host_id: HostId;
    converged_generation: Generated<number>;
    failure: Json<Failure>;
    abilities: Json<PoolAbilities>;
  };
  /** Of images in pools of Ceph, which root disks there rest on. */
  image_copies: {
    pool_id: PoolId;
    image_id: ImageId;
    needed_at: Date;
  };
  volume_types: {
    name: string;
    pool: string | null;
    limits: Json<DiskLimits>;
    format: VolumeFormat | null;
    preallocation: Preallocation | null;
    encrypted: boolean | null;
    created_at: CreatedAt;
  };
};
