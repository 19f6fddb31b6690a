// What a report needs of the database: hosts and the instances that are on, each with what was seen of it within a window.
// Five minutes are the unit: what is used 95 % of the time is the 95th percentile of their averages. Where those would be too
// many to look at, it is that of the highest of each hour, which is no less.
import { sql } from 'kysely';
import type { CloudAccess } from '../../access/authorizer.ts';
import type { Db } from '../../store/database.ts';
import type { SeenUsage } from './right-sizing.ts';
import type { ReportedHost, ReportedInstance } from './usage-report.ts';

const fiveMinutesMs = 5 * 60_000;
/** A second or a few of work for the database. */
const mostRows = 3_000_000;

export async function reportedHosts(db: Db, _access: CloudAccess, from: Date, to: Date): Promise<ReportedHost[]> {
  type Row = Omit<ReportedHost, 'seen'> & { [K in keyof NonNullable<ReportedHost['seen']>]: number | null };
  const { rows } = await sql<Row>`
    select hosts.id, hosts.name, state = 'ready' as ready, coalesce((facts ->> 'cpuThreads')::integer, 0) as "threads",
      coalesce((facts ->> 'memoryMib')::integer, 0) as "memoryMib", schedulable_vcpus as "schedulableVcpus",
      schedulable_memory_mib as "schedulableMemoryMib", seen.*
    from hosts
    left join lateral (
      select sum(seconds::float8) as "seconds", sum(cpus_busy * seconds::float8) / sum(seconds::float8) as "cpusAverage",
        percentile_cont(0.95) within group (order by cpus_busy) as "cpusP95",
        sum(memory_used_mib * seconds::float8) / sum(seconds::float8) as "memoryUsedMib"
      from host_usage
      where host_id = hosts.id and step = 5 and at >= ${from} and at < ${to}
    ) as seen on true
    order by hosts.name`.execute(db);
  return rows.map(({ seconds, cpusAverage, cpusP95, memoryUsedMib, ...host }) => ({
    ...host,
    seen:
      seconds === null
        ? null
        : { seconds, cpusAverage: cpusAverage!, cpusP95: cpusP95!, memoryUsedMib: memoryUsedMib! },
  }));
}

export async function reportedInstances(
  db: Db,
  _access: CloudAccess,
  from: Date,
  to: Date,
): Promise<ReportedInstance[]> {
  const { count } = await db
    .selectFrom('instances')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('allocated', '=', true)
    .executeTakeFirstOrThrow();
  const isMuch = (count * (to.getTime() - from.getTime())) / fiveMinutesMs > mostRows;
  const [step, cpus, memory] = isMuch
    ? ([60, 'cpus_high', 'memory_used_mib_max'] as const)
    : ([5, 'cpus', 'memory_used_mib'] as const);
  type Row = Omit<ReportedInstance, 'seen'> & { [K in keyof SeenUsage]: number | null };
  const { rows } = await sql<Row>`
    with seen as (
      select instance_id, sum(seconds::float8) as "seconds", sum(cpus * seconds::float8) / sum(seconds::float8) as "cpusAverage",
        percentile_cont(0.95) within group (order by ${sql.ref(cpus)}) as "cpusP95", max(cpus_max) as "cpusPeak",
        avg(cpus_waiting) as "cpusWaiting",
        percentile_cont(0.95) within group (order by ${sql.ref(memory)}) as "memoryUsedP95Mib",
        percentile_cont(0.95) within group (order by resident_mib) as "residentP95Mib",
        avg(resident_mib) as "residentMib",
        avg(read_bytes + written_bytes) as "diskBytesPerSecond",
        avg(received_bytes + sent_bytes) as "networkBytesPerSecond"
      from instance_usage
      where step = ${step} and at >= ${from} and at < ${to}
      group by instance_id
    )
    select instances.id, instances.name, instances.project_id as "projectId", instances.host_id as "hostId",
      instances.type, instances.vcpus, instances.memory_mib as "memoryMib",
      coalesce(images.minimum_memory_mib, 0) as "leastMemoryMib", instances.cpu_policy as "cpuPolicy",
      instances.huge_page_kib as "hugePageKib", seen.*
    from instances
    left join images on images.id = instances.image_id
    left join seen on seen.instance_id = instances.id
    where instances.allocated
    order by instances.id`.execute(db);
  return rows.map((row) => {
    const { id, name, projectId, hostId, type, vcpus, memoryMib, leastMemoryMib, residentMib, seconds } = row;
    const { cpuPolicy, hugePageKib } = row;
    const seen: SeenUsage | null =
      seconds === null
        ? null
        : {
            seconds,
            cpusAverage: row.cpusAverage!,
            cpusP95: row.cpusP95!,
            cpusPeak: row.cpusPeak!,
            cpusWaiting: row.cpusWaiting,
            memoryUsedP95Mib: row.memoryUsedP95Mib,
            residentP95Mib: row.residentP95Mib,
            diskBytesPerSecond: row.diskBytesPerSecond,
            networkBytesPerSecond: row.networkBytesPerSecond,
          };
    const size = { type, vcpus, memoryMib, leastMemoryMib, cpuPolicy, hugePageKib };
    return { id, name, projectId, hostId, ...size, residentMib, seen };
  });
}
