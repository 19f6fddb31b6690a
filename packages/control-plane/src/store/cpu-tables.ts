// Tables of the CPUs of hosts, which placement writes.
import type { HostId, InstanceId } from '@virga/contract/ids';

export type CpuTables = {
  host_cpus: {
    host_id: HostId;
    cpu: number;
    instance_id: InstanceId;
    /** The vCPU that runs there; null for a sibling that is left idle. */
    vcpu: number | null;
  };
  instance_nodes: { instance_id: InstanceId; host_id: HostId; node: number };
};
