// Tables of backup stores, backups, and the schedules that make backups.
import type { BackupPlace, FullReason, StoredDisk } from '@virga/contract/agent/backups';
import type {
  BackupId,
  BackupStoreId,
  HostId,
  InstanceId,
  ProjectId,
  RestoreId,
  ScheduleId,
  UserId,
} from '@virga/contract/ids';
import type { BackedUpMachine, Retention, Verification } from '@virga/contract/rest/backups';
import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { CreatedAt } from './foundation-tables.ts';

export type BackupTables = {
  backup_stores: {
    id: BackupStoreId;
    name: string;
    place: JSONColumnType<BackupPlace>;
    host_id: HostId | null;
    password_sealed: Buffer;
    s3_keys_sealed: Buffer | null;
    limit_bytes_per_second: number | null;
    state: Generated<'pending' | 'available' | 'unreachable' | 'damaged' | 'deleting'>;
    state_reason: string | null;
    /** The backups that lie in it are known. */
    imported: Generated<boolean>;
    size_bytes: number | null;
    checked_at: Date | null;
    created_at: CreatedAt;
  };
  backup_schedules: {
    id: ScheduleId;
    project_id: ProjectId;
    instance_id: InstanceId;
    store_id: BackupStoreId;
    cron: string;
    time_zone: string;
    retention: JSONColumnType<Retention>;
    chain_limit: number;
    freezes: boolean;
    next_run_at: Date;
    user_id: UserId | null;
    user_name: string;
    created_at: CreatedAt;
  };
  backups: {
    id: BackupId;
    project_id: ProjectId;
    store_id: BackupStoreId;
    instance_id: InstanceId;
    instance_name: string;
    host_id: HostId;
    schedule_id: ScheduleId | null;
    state: Generated<'pending' | 'available' | 'deleting'>;
    cancelled: Generated<boolean>;
    full_asked: boolean;
    freezes: boolean;
    full_reason: FullReason | null;
    parent_id: BackupId | null;
    recorded: Generated<boolean>;
    frozen: boolean | null;
    taken_at: Date | null;
    disks: ColumnType<StoredDisk[], string | undefined, string>;
    settings_snapshot_id: string | null;
    added_bytes: number | null;
    machine: JSONColumnType<BackedUpMachine>;
    verified: ColumnType<Verification | null, string | null | undefined, string | null>;
    /** Its root disk lies on a host, to be looked into. */
    opened: ColumnType<{ restoreId: RestoreId; hostId: HostId } | null, string | null | undefined, string | null>;
    opened_until: Generated<Date | null>;
    created_at: CreatedAt;
  };
};
