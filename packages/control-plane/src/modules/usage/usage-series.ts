// The history of one host or instance, as rows become points of the API.
import type { HostId, InstanceId } from '@virga/contract/ids';
import type { HostUsagePoint, InstanceUsagePoint } from '@virga/contract/rest/host-usage';
import type { CloudAccess, ProjectAccess } from '../../access/authorizer.ts';
import type { Db } from '../../store/database.ts';
import type { StoredStep } from '../../store/usage-tables.ts';

/** Oldest first. */
export async function hostSeries(
  db: Db,
  _access: CloudAccess,
  id: HostId,
  step: StoredStep,
  from: Date,
  to: Date,
): Promise<HostUsagePoint[]> {
  const rows = await db
    .selectFrom('host_usage')
    .selectAll()
    .where('host_id', '=', id)
    .where('step', '=', step)
    .where('at', '>=', from)
    .where('at', '<=', to)
    .orderBy('at')
    .execute();
  return rows.map((row) => ({
    at: row.at.toISOString(),
    seconds: row.seconds,
    threads: row.threads,
    cpusBusy: row.cpus_busy,
    cpusBusyMax: row.cpus_busy_max,
    busiestCpu: row.busiest_cpu,
    cpusStolen: row.cpus_stolen,
    load: row.load,
    memoryMib: row.memory_mib,
    memoryUsedMib: row.memory_used_mib,
    memoryUsedMibMax: row.memory_used_mib_max,
    swapUsedMib: row.swap_used_mib,
    readBytesPerSecond: row.read_bytes,
    writtenBytesPerSecond: row.written_bytes,
    diskRequestsPerSecond: row.disk_requests,
    diskBusy: row.disk_busy,
    receivedBytesPerSecond: row.received_bytes,
    sentBytesPerSecond: row.sent_bytes,
    cpuPressure: row.cpu_pressure,
    memoryPressure: row.memory_pressure,
    ioPressure: row.io_pressure,
  }));
}

/** Oldest first. */
export async function instanceSeries(
  db: Db,
  _access: ProjectAccess,
  id: InstanceId,
  step: StoredStep,
  from: Date,
  to: Date,
): Promise<InstanceUsagePoint[]> {
  const rows = await db
    .selectFrom('instance_usage')
    .selectAll()
    .where('instance_id', '=', id)
    .where('step', '=', step)
    .where('at', '>=', from)
    .where('at', '<=', to)
    .orderBy('at')
    .execute();
  return rows.map((row) => ({
    at: row.at.toISOString(),
    seconds: row.seconds,
    vcpus: row.vcpus,
    cpusBusy: row.cpus,
    cpusBusyMax: row.cpus_max,
    cpusWaiting: row.cpus_waiting,
    memoryMib: row.memory_mib,
    memoryUsedMib: row.memory_used_mib,
    memoryUsedMibMax: row.memory_used_mib_max,
    residentMib: row.resident_mib,
    readBytesPerSecond: row.read_bytes,
    writtenBytesPerSecond: row.written_bytes,
    diskRequestsPerSecond: row.disk_requests,
    receivedBytesPerSecond: row.received_bytes,
    sentBytesPerSecond: row.sent_bytes,
  }));
}
