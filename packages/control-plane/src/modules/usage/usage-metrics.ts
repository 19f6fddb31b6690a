// What hosts and instances use now, for Prometheus: the last sample of each, unless it is old. Gauges, because the counters
// are on the hosts and begin anew there.
import { type Selectable, sql } from 'kysely';
import type { CloudAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { UsageTables } from '../../store/usage-tables.ts';
import { type Labels, type Metric, prometheusText } from './prometheus-text.ts';

/** So many periods after it was taken a sample says nothing about now. */
const staleAfterPeriods = 3;
const bytesPerMib = 1024 ** 2;

type Latest<T extends 'host_usage' | 'instance_usage'> = {
  [K in keyof Selectable<UsageTables[T]>]: Selectable<UsageTables[T]>[K] | null;
};
type HostRow = Latest<'host_usage'> & {
  id: string;
  name: string;
  state: string;
  allocated_vcpus: number;
  allocated_memory_mib: number;
};
type InstanceRow = Latest<'instance_usage'> & { id: string; name: string; project: string; host: string };

export async function usageMetrics({ db, clock, settings }: Deps, _access: CloudAccess): Promise<string> {
  const since = new Date(clock.now().getTime() - staleAfterPeriods * settings.usagePeriodMs);
  const hosts = await sql<HostRow>`
    select hosts.id, hosts.name, state, allocated_vcpus, allocated_memory_mib, latest.*
    from hosts
    left join lateral (
      select * from host_usage where host_id = hosts.id and step = 1 and at >= ${since} order by at desc limit 1
    ) as latest on true
    order by hosts.name`.execute(db);
  const instances = await sql<InstanceRow>`
    select instances.id, instances.name, projects.name as project, hosts.name as host, latest.*
    from instances
    join projects on projects.id = instances.project_id
    join hosts on hosts.id = instances.host_id
    join lateral (
      select * from instance_usage where instance_id = instances.id and step = 1 and at >= ${since}
      order by at desc limit 1
    ) as latest on true
    order by instances.id`.execute(db);
  return prometheusText([...hostMetrics(hosts.rows), ...instanceMetrics(instances.rows)]);
}

function hostMetrics(rows: readonly HostRow[]): Metric[] {
  const metric = metricsOf('virga_host_', rows, ({ name }) => ({ host: name }));
  return [
    metric('ready', 'Whether the host can be used.', ({ state }) => Number(state === 'ready')),
    metric('promised_vcpus', 'vCPUs of instances.', (row) => row.allocated_vcpus),
    metric('promised_memory_bytes', 'Memory of instances.', (row) => bytes(row.allocated_memory_mib)),
    metric('threads', 'Threads of its processors.', (row) => row.threads),
    metric('busy_threads', 'Threads that were busy.', (row) => row.cpus_busy),
    metric('stolen_threads', 'Threads that a hypervisor below took.', (row) => row.cpus_stolen),
    metric('busiest_thread_ratio', 'Share of time that the busiest thread was busy.', (row) => row.busiest_cpu),
    metric('load', 'Load average over a minute.', (row) => row.load),
    metric('memory_bytes', 'Memory.', (row) => bytes(row.memory_mib)),
    metric('memory_used_bytes', 'Memory that is not available.', (row) => bytes(row.memory_used_mib)),
    metric('swap_used_bytes', 'Swap that is used.', (row) => bytes(row.swap_used_mib)),
    metric('disk_read_bytes_per_second', 'Read from the device of the storage.', (row) => row.read_bytes),
    metric('disk_written_bytes_per_second', 'Written to the device of the storage.', (row) => row.written_bytes),
    metric('disk_requests_per_second', 'Requests to the device of the storage.', (row) => row.disk_requests),
    metric('disk_busy_ratio', 'Share of time that the device of the storage was busy.', (row) => row.disk_busy),
    metric('received_bytes_per_second', 'Received by its network cards.', (row) => row.received_bytes),
    metric('sent_bytes_per_second', 'Sent by its network cards.', (row) => row.sent_bytes),
    metric('cpu_pressure_ratio', 'Share of time that something waited for a processor.', (row) => row.cpu_pressure),
    metric('memory_pressure_ratio', 'Share of time that something waited for memory.', (row) => row.memory_pressure),
    metric('io_pressure_ratio', 'Share of time that something waited for a disk.', (row) => row.io_pressure),
  ];
}

function instanceMetrics(rows: readonly InstanceRow[]): Metric[] {
  const labels = ({ id, name, project, host }: InstanceRow) => ({ id, instance_name: name, project, host });
  const metric = metricsOf('virga_instance_', rows, labels);
  return [
    metric('vcpus', 'vCPUs.', (row) => row.vcpus),
    metric('busy_threads', 'Threads of the host that it kept busy.', (row) => row.cpus),
    metric('waiting_vcpus', 'vCPUs that were ready to run and did not.', (row) => row.cpus_waiting),
    metric('memory_bytes', 'Memory that it has.', (row) => bytes(row.memory_mib)),
    metric('memory_used_bytes', 'Memory that its guest uses.', (row) => bytes(row.memory_used_mib)),
    metric('memory_resident_bytes', 'Memory that the host gave to it.', (row) => bytes(row.resident_mib)),
    metric('disk_read_bytes_per_second', 'Read from its disks.', (row) => row.read_bytes),
    metric('disk_written_bytes_per_second', 'Written to its disks.', (row) => row.written_bytes),
    metric('disk_requests_per_second', 'Requests to its disks.', (row) => row.disk_requests),
    metric('received_bytes_per_second', 'Received by its network cards.', (row) => row.received_bytes),
    metric('sent_bytes_per_second', 'Sent by its network cards.', (row) => row.sent_bytes),
  ];
}

const metricsOf =
  <R>(prefix: string, rows: readonly R[], labels: (row: R) => Labels) =>
  (name: string, help: string, value: (row: R) => number | null): Metric => ({
    name: `${prefix}${name}`,
    help,
    samples: rows.map((row) => ({ labels: labels(row), value: value(row) })),
  });

const bytes = (mib: number | null): number | null => (mib === null ? null : Math.round(mib * bytesPerMib));
