// Tables of snapshots, their schedules, and the clones that rest on them.
import type { MachineState, ObservedSnapshot, SnapshotConsistency } from '@virga/contract/agent/snapshots';
import type { HostId, InstanceId, ProjectId, ScheduleId, SnapshotId, UserId } from '@virga/contract/ids';
import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type { Failure } from './compute-tables.ts';
import type { CreatedAt } from './foundation-tables.ts';

export type SnapshotTables = {
  snapshots: {
    id: SnapshotId;
    project_id: ProjectId;
    name: string;
    instance_id: InstanceId;
    host_id: HostId;
    /** One that was taken for a clone is shown to nobody, and goes with the last instance that rests on it. */
    purpose: Generated<'kept' | 'clone'>;
    schedule_id: ScheduleId | null;
    is_protected: Generated<boolean>;
    memory: boolean;
    state: Generated<'creating' | 'available' | 'deleting' | 'error'>;
    /** Of the one that is under way. */
    is_deletion_cancelled: Generated<boolean>;
    failure: JSONColumnType<Failure> | null;
    consistency: SnapshotConsistency | null;
    disks: ColumnType<ObservedSnapshot['disks'], string | undefined, string>;
    /** What the machine keeps beside its disks. */
    machine_state: ColumnType<MachineState[], string | undefined, string>;
    taken_at: Date | null;
    created_at: CreatedAt;
  };
  snapshot_schedules: {
    id: ScheduleId;
    instance_id: InstanceId;
    cron: string;
    time_zone: string;
    keep: number;
    memory: boolean;
    next_run_at: Date;
    /** Who made it, whose role decides; null when that user is gone. */
    user_id: UserId | null;
    user_name: string;
    created_at: CreatedAt;
  };
  linked_clones: {
    instance_id: InstanceId;
    snapshot_id: SnapshotId;
  };
};
