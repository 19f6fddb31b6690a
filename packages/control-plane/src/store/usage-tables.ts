// Tables of what hosts and instances have used over time.
import type { HostId, InstanceId } from '@virga/contract/ids';

/** Minutes that a row stands for; a sample has 1. */
export type StoredStep = 1 | 5 | 60;

type Covered = {
  /** Of a sample, when it was taken; of a longer step, when that began. */
  at: Date;
  step: StoredStep;
  seconds: number;
};

export type UsageTables = {
  host_usage: Covered & {
    host_id: HostId;
    threads: number;
    cpus_busy: number;
    cpus_busy_max: number;
    busiest_cpu: number;
    cpus_stolen: number;
    load: number;
    memory_mib: number;
    memory_used_mib: number;
    memory_used_mib_max: number;
    swap_used_mib: number;
    read_bytes: number | null;
    written_bytes: number | null;
    disk_requests: number | null;
    disk_busy: number | null;
    received_bytes: number;
    sent_bytes: number;
    cpu_pressure: number | null;
    memory_pressure: number | null;
    io_pressure: number | null;
  };
  instance_usage: Covered & {
    instance_id: InstanceId;
    vcpus: number;
    cpus: number;
    cpus_max: number;
    /** The highest average over five minutes. */
    cpus_high: number;
    cpus_waiting: number | null;
    memory_mib: number;
    memory_used_mib: number | null;
    memory_used_mib_max: number | null;
    resident_mib: number | null;
    read_bytes: number | null;
    written_bytes: number | null;
    disk_requests: number | null;
    received_bytes: number | null;
    sent_bytes: number | null;
  };
  usage_progress: { step: Exclude<StoredStep, 1>; until: Date };
};
