// The history of usage in the database: written by one statement a host and sample, rolled up to longer steps, and forgotten
// in time. Whatever is rolled up may be rolled up again.
import type { HostId } from '@virga/contract/ids';
import { type RawBuilder, sql } from 'kysely';
import type { SystemAccess } from '../../access/authorizer.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import type { StoredStep } from '../../store/usage-tables.ts';
import type { DomainRates, UsageRates } from './usage-rates.ts';

/** Of each table: whose row it is, and its columns by how they become part of a longer step. */
const tables = {
  host_usage: {
    key: 'host_id',
    averages: [
      'threads',
      'cpus_busy',
      'cpus_stolen',
      'load',
      'memory_mib',
      'memory_used_mib',
      'swap_used_mib',
      'read_bytes',
      'written_bytes',
      'disk_requests',
      'disk_busy',
      'received_bytes',
      'sent_bytes',
      'cpu_pressure',
      'memory_pressure',
      'io_pressure',
    ],
    maxima: ['cpus_busy_max', 'busiest_cpu', 'memory_used_mib_max'],
    ofFiveMinutes: {},
  },
  instance_usage: {
    key: 'instance_id',
    averages: [
      'vcpus',
      'cpus',
      'cpus_waiting',
      'memory_mib',
      'memory_used_mib',
      'resident_mib',
      'read_bytes',
      'written_bytes',
      'disk_requests',
      'received_bytes',
      'sent_bytes',
    ],
    maxima: ['cpus_max', 'memory_used_mib_max'],
    /** The highest of the averages over five minutes, by what it is the average of. */
    ofFiveMinutes: { cpus_high: 'cpus' },
  },
} as const;
const tableNames = Object.keys(tables) as (keyof typeof tables)[];

/** The rows of a domain that is no instance of this host are left out. */
export async function insertSample(
  db: Db,
  _access: SystemAccess,
  hostId: HostId,
  at: Date,
  { host, domains }: UsageRates,
): Promise<void> {
  const each = (read: (domain: DomainRates) => unknown) => sql`${domains.map(read)}`;
  await sql`
    with of_host as (
      insert into host_usage (host_id, at, step, seconds, threads, cpus_busy, cpus_busy_max, busiest_cpu, cpus_stolen, load,
        memory_mib, memory_used_mib, memory_used_mib_max, swap_used_mib, read_bytes, written_bytes, disk_requests, disk_busy,
        received_bytes, sent_bytes, cpu_pressure, memory_pressure, io_pressure)
      values (${hostId}, ${at}, 1, ${host.seconds}, ${host.threads}, ${host.cpusBusy}, ${host.cpusBusy}, ${host.busiestCpu},
        ${host.cpusStolen}, ${host.load}, ${host.memoryMib}, ${host.memoryUsedMib}, ${host.memoryUsedMib},
        ${host.swapUsedMib}, ${host.readBytes}, ${host.writtenBytes}, ${host.diskRequests}, ${host.diskBusy},
        ${host.receivedBytes}, ${host.sentBytes}, ${host.cpuPressure}, ${host.memoryPressure}, ${host.ioPressure})
      on conflict do nothing
    )
    insert into instance_usage (instance_id, at, step, seconds, vcpus, cpus, cpus_max, cpus_high, cpus_waiting, memory_mib,
      memory_used_mib, memory_used_mib_max, resident_mib, read_bytes, written_bytes, disk_requests, received_bytes, sent_bytes)
    select instances.id, ${at}::timestamptz, 1, ${host.seconds}::real, seen.vcpus, seen.cpus, seen.cpus, seen.cpus, seen.cpus_waiting,
      seen.memory_mib,
      seen.memory_used_mib, seen.memory_used_mib, seen.resident_mib, seen.read_bytes, seen.written_bytes, seen.disk_requests,
      seen.received_bytes, seen.sent_bytes
    from unnest(${each((it) => it.uuid)}::uuid[], ${each((it) => it.vcpus)}::real[], ${each((it) => it.cpus)}::real[],
        ${each((it) => it.cpusWaiting)}::real[], ${each((it) => it.memoryMib)}::real[],
        ${each((it) => it.memoryUsedMib)}::real[], ${each((it) => it.residentMib)}::real[],
        ${each((it) => it.readBytes)}::real[], ${each((it) => it.writtenBytes)}::real[],
        ${each((it) => it.diskRequests)}::real[], ${each((it) => it.receivedBytes)}::real[],
        ${each((it) => it.sentBytes)}::real[])
      as seen (uuid, vcpus, cpus, cpus_waiting, memory_mib, memory_used_mib, resident_mib, read_bytes, written_bytes,
        disk_requests, received_bytes, sent_bytes)
    join instances on instances.host_id = ${hostId} and instances.uuid = seen.uuid
    on conflict do nothing`.execute(db);
}

const minuteMs = 60_000;
/** A sample that was taken before the end of a step is written by then. */
const graceMs = 10_000;
/** What a server makes up for after it was away, in one transaction. */
const mostStepsAtOnce = 288;

/** Makes rows of a longer step from those of the step below, as far as time has passed since the last time. */
export async function rollUp(db: Db, _access: SystemAccess, step: 5 | 60, now: Date): Promise<void> {
  const stepMs = step * minuteMs;
  const below: StoredStep = step === 5 ? 1 : 5;
  await inTransaction(db, async (tx) => {
    const complete = Math.min(now.getTime() - graceMs, step === 5 ? Number.POSITIVE_INFINITY : await progressOf(tx, 5));
    const end = Math.floor(complete / stepMs) * stepMs;
    const begin = Math.floor((await beginOf(tx, step, below, end)) / stepMs) * stepMs;
    const until = Math.min(end, begin + mostStepsAtOnce * stepMs);
    if (until > begin) {
      for (const name of tableNames) await rollUpTable(tx, name, below, step, new Date(begin), new Date(until));
    }
    await tx
      .insertInto('usage_progress')
      .values({ step, until: new Date(until) })
      .onConflict((conflict) => conflict.column('step').doUpdateSet({ until: new Date(until) }))
      .execute();
  });
}

/** Where it stopped the last time. What lies in the future of a clock that was set back is done anew when it has come. */
async function beginOf(tx: Tx, step: 5 | 60, below: StoredStep, end: number): Promise<number> {
  const progress = await progressOf(tx, step);
  if (progress > 0) return Math.min(progress, end);
  const oldest = await tx
    .selectFrom('host_usage')
    .select((select) => select.fn.min('at').as('at'))
    .where('step', '=', below)
    .executeTakeFirst();
  return (oldest?.at as Date | null | undefined)?.getTime() ?? end;
}

/** In ms since 1970; 0 when nothing has been done yet. */
async function progressOf(tx: Tx, step: 5 | 60): Promise<number> {
  const select = tx.selectFrom('usage_progress').select('until').where('step', '=', step).forUpdate();
  return (await select.executeTakeFirst())?.until.getTime() ?? 0;
}

async function rollUpTable(
  tx: Tx,
  name: keyof typeof tables,
  below: StoredStep,
  step: StoredStep,
  begin: Date,
  until: Date,
): Promise<void> {
  const { key, averages, maxima, ofFiveMinutes } = tables[name];
  const columns = [...averages, ...maxima, ...Object.keys(ofFiveMinutes)];
  // A column that is not known for part of the time is the average of the rest.
  const average = (it: string) =>
    `sum(${it} * seconds::float8) / nullif(sum(seconds::float8) filter (where ${it} is not null), 0)`;
  const highest = (it: string) => `max(${it})`;
  const values = [
    ...averages.map(average),
    ...maxima.map(highest),
    ...Object.entries(ofFiveMinutes).map(([high, column]) => (step === 5 ? average(column) : highest(high))),
  ];
  const list = (parts: readonly string[]): RawBuilder<unknown> => sql.raw(parts.join(', '));
  await sql`
    insert into ${sql.table(name)} (${sql.ref(key)}, at, step, seconds, ${list(columns)})
    select ${sql.ref(key)}, date_bin(${`${step} minutes`}::interval, at, timestamptz '2000-01-01Z') as begun, ${step},
      sum(seconds), ${list(values)}
    from ${sql.table(name)}
    where step = ${below} and at >= ${begin} and at < ${until}
    group by ${sql.ref(key)}, begun
    on conflict (${sql.ref(key)}, step, at) do update set
      ${list(['seconds', ...columns].map((it) => `${it} = excluded.${it}`))}`.execute(tx);
}

const dayMs = 86_400_000;
/** How long rows are kept. */
export const keptMs: Readonly<Record<StoredStep, number>> = { 1: dayMs, 5: 14 * dayMs, 60: 366 * dayMs };
/** What is that far in the future was written while the clock was wrong. */
const futureMs = 3_600_000;
const batch = 20_000;

/** Removes what is older than it is kept, in batches, each a transaction of its own. */
export async function forgetOld(db: Db, _access: SystemAccess, now: Date, signal?: AbortSignal): Promise<void> {
  for (const name of tableNames) {
    for (const step of [1, 5, 60] as const) {
      const partition = sql.table(`${name}_${step}`);
      const oldest = new Date(now.getTime() - keptMs[step]);
      const newest = new Date(now.getTime() + futureMs);
      for (let removed = batch; removed === batch && !signal?.aborted; ) {
        const { numAffectedRows } = await sql`
          delete from ${partition} where ctid = any(array(
            select ctid from ${partition} where at < ${oldest} or at > ${newest} limit ${batch}))`.execute(db);
        removed = Number(numAffectedRows ?? 0);
      }
    }
  }
}
