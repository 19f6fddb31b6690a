// What recording usage costs: writing down a sample of a fleet, rolling it up, what a row takes on disk, and the report over a
// week. Beside the same rows inserted by PostgreSQL itself from a table that it has, which is all that there could be to save.
//
// usage: script/node --conditions=development bench/usage.ts [HOSTS, default 100] [INSTANCES a host, default 100] [ROUNDS, default 5]
import { readdirSync, readFileSync } from 'node:fs';
import type { HostAgent } from '@virga/contract/agent/agent';
import type { HostUsage } from '@virga/contract/agent/host-usage';
import type { HostId } from '@virga/contract/ids';
import { authorize } from '@virga/control-plane/access/authorizer';
import { systemAccess } from '@virga/control-plane/access/system-access';
import { AgentRegistry } from '@virga/control-plane/agents/agent-registry';
import { ensureAdministrator } from '@virga/control-plane/bootstrap';
import { type Deps, defaultSettings } from '@virga/control-plane/deps';
import { createSeal } from '@virga/control-plane/modules/identity/seal';
import { usageReport } from '@virga/control-plane/modules/usage/usage-operations';
import { UsageRecorder } from '@virga/control-plane/modules/usage/usage-recorder';
import { rollUp } from '@virga/control-plane/modules/usage/usage-store';
import { openStore, type Store } from '@virga/control-plane/store/database';
import { Notifications } from '@virga/control-plane/store/notifications';
import { SettableClock } from '@virga/testing/settable-clock';
import { silentLog } from '@virga/testing/silent-log';
import { createTemporaryDatabase } from '@virga/testing/temporary-database';
import { startSharedServices } from '../script/test-run/shared-services.ts';
import { figure, spread, table } from './figures.ts';
import { inNamespaces } from './in-namespaces.ts';

const minuteMs = 60_000;
const ticksPerSecond = 100;
const reportInstances = 1_000;
const reportDays = 7;
const access = systemAccess('usage');
const start = new Date('2030-01-07T00:00:00Z');

const hostIdOf = (n: number) => `host-${n.toString(16).padStart(17, '0')}` as HostId;
const uuidOf = (n: number) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;

async function fill({ pool }: Store, hosts: number, perHost: number): Promise<void> {
  const id = (prefix: string, n: string) => `'${prefix}-' || lpad(to_hex(${n}), 17, '0')`;
  await pool.query(`
    insert into hosts (id, name, driver, state, facts, schedulable_vcpus, schedulable_memory_mib)
      select ${id('host', 'n')}, 'host-' || n, 'simulated', 'ready', '{"cpuThreads": 64, "memoryMib": 524288}', 256, 500000
      from generate_series(1, ${hosts}) n;
    insert into instances (id, project_id, name, domain_name, guest_host_name, uuid, host_id, type, vcpus, memory_mib, disk_bytes,
        root_disk_id, firmware, key_pairs, desired, converged_generation, allocated, observed_state)
      select ${id('i', 'n')}, projects.id, 'web-' || n, 'web-' || n, 'web-' || n,
        ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, ${id('host', `1 + (n - 1) / ${perHost}`)}, 'medium', 2,
        2048, 4294967296, ${id('vol', 'n')}, 'bios', '[]', 'running', 1, true, 'running'
      from projects, generate_series(1, ${hosts * perHost}) n`);
  await pool.query('vacuum analyze');
}

/** Counters of a host at that minute, as an agent would answer them. */
function countersAt(host: number, perHost: number, minute: number): HostUsage {
  const ms = minute * minuteMs;
  const traffic = { receivedBytes: ms * 3, sentBytes: ms * 5 };
  const disks = { readBytes: ms * 7, readRequests: ms / 100, writtenBytes: ms * 11, writeRequests: ms / 50 };
  return {
    bootId: 'boot',
    uptimeMs: ms,
    cpus: Array.from({ length: 64 }, (_, id) => ({ id, busyMs: ms * 0.1, idleMs: ms * 0.9, stolenMs: 0 })),
    load: [5, 5, 5],
    memory: { totalKib: 524_288 * 1024, availableKib: 262_144 * 1024, swapTotalKib: 0, swapFreeKib: 0 },
    storage: { device: 'nvme0n1', busyMs: ms * 0.05, ...disks },
    network: traffic,
    pressure: { cpuSomeMs: ms * 0.01, memorySomeMs: 0, memoryFullMs: 0, ioSomeMs: ms * 0.02, ioFullMs: 0 },
    domains: Array.from({ length: perHost }, (_, index) => ({
      uuid: uuidOf(host * perHost + index + 1),
      run: '1',
      vcpus: 2,
      cpuTimeMs: ms * (0.01 + (index % 10) / 50),
      cpuWaitMs: ms * 0.001,
      memory: { currentKib: 2_097_152, residentKib: 1_500_000 + index, usedKib: 800_000 + index },
      disks,
      network: traffic,
    })),
  };
}

/** Processor time of all PostgreSQL processes, which in these namespaces are those of the run, in seconds. */
function postgresSeconds(): number {
  let ticks = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const [, name, rest = ''] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
      if (name !== 'postgres') continue;
      // From the third field of proc(5) on: utime, stime, and those of children that have ended, are 14 to 17.
      ticks += rest
        .split(' ')
        .slice(11, 15)
        .reduce((sum, value) => sum + Number(value), 0);
    } catch {
      // It has ended meanwhile.
    }
  }
  return ticks / ticksPerSecond;
}

type Cost = { wallMs: number; postgresMs: number; serverMs: number };

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const [wall, postgres, own] = [performance.now(), postgresSeconds(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(own);
  return {
    wallMs: performance.now() - wall,
    postgresMs: (postgresSeconds() - postgres) * 1000,
    serverMs: (user + system) / 1000,
  };
}

const medianOf = (costs: readonly Cost[], field: keyof Cost) => spread(costs.map((cost) => cost[field])).median;

async function main(): Promise<void> {
  const [hosts = 100, perHost = 100, rounds = 5] = process.argv.slice(2).map(Number);
  const services = await startSharedServices();
  Object.assign(process.env, services.env);
  const database = await createTemporaryDatabase();
  const store = openStore(database.config);
  await ensureAdministrator(database.config, Buffer.alloc(32, 1), {
    user: 'admin',
    password: 'benchmark',
    project: 'default',
    accessKeyId: 'VKAAAAAAAAAAAAAAAAAA',
    secret: 'only-for-this-benchmark',
  });
  await fill(store, hosts, perHost);
  const clock = new SettableClock(start);
  let minute = 0;
  const registered = Array.from({ length: hosts }, (_, n) => ({
    id: hostIdOf(n + 1),
    name: `host-${n + 1}`,
    agent: { hostUsage: async () => countersAt(n, perHost, minute) } as unknown as HostAgent,
  }));
  const deps: Deps = {
    db: store.db,
    notifications: new Notifications(database.config),
    clock,
    log: silentLog,
    settings: defaultSettings,
    cloudId: 'bench',
    agents: new AgentRegistry(registered),
    seal: createSeal(Buffer.alloc(32)),
  };
  const recorders = registered.map((host) => new UsageRecorder(deps, access, host));
  const sampleAll = async () => {
    minute += 1;
    clock.forward(minuteMs);
    for (const recorder of recorders) await recorder.record();
  };
  await sampleAll();
  await sampleAll();
  const [ours, theirs]: [Cost[], Cost[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    ours.push(await costOf(sampleAll));
    await store.pool.query('create table again (like instance_usage including indexes)');
    const copy = `insert into again select * from instance_usage where step = 1 and at = (select max(at) from instance_usage)`;
    theirs.push(await costOf(() => store.pool.query(copy)));
    await store.pool.query('drop table again');
  }
  const rows = hosts * perHost;
  const cells = (title: string, costs: readonly Cost[]) => [
    title,
    ...(['wallMs', 'postgresMs', 'serverMs'] as const).map((field) => figure(medianOf(costs, field))),
  ];
  const rolled = await costOf(() => rollUp(store.db, access, 5, clock.now()));
  console.log(
    table(
      [`${figure(rows)} instances on ${hosts} hosts, ms`, 'wall', 'CPU of PostgreSQL', 'CPU of the server'],
      [
        cells('a sample of all', ours),
        cells('the same rows from a table', theirs),
        cells(`five minutes rolled up`, [rolled]),
      ],
    ),
  );
  const { rows: sizes } = await store.pool.query(
    `select pg_total_relation_size('instance_usage_1') / count(*)::float8 as bytes from instance_usage_1`,
  );
  const bytes = Number(sizes[0].bytes);
  const perInstance = bytes * (24 * 60 + 14 * 24 * 12 + 366 * 24);
  const share = medianOf(ours, 'postgresMs') / minuteMs + medianOf(ours, 'serverMs') / minuteMs;
  console.log(
    `\nA row takes ${figure(bytes)} bytes with its index; all that is kept of an instance ${figure(perInstance / 1024 ** 2)} MiB. ` +
      `Sampled every minute that is ${figure(share * 100)} % of a core.\n`,
  );

  // As samples of all come one after the other.
  const series = (instances: string, step: number, count: number) => `
    insert into instance_usage (instance_id, at, step, seconds, vcpus, cpus, cpus_max, cpus_high, memory_mib, memory_used_mib,
      memory_used_mib_max, resident_mib, read_bytes, written_bytes, disk_requests, received_bytes, sent_bytes)
    select id, timestamptz '2030-02-01Z' + n * interval '${step} min', ${step}, ${step * 60}, 2, random(), random(), random(),
      2048, 700 + random() * 100, 900, 1500, 1e4, 1e4, 10, 1e4, 1e4
    from generate_series(0, ${count - 1}) n, (${instances}) i`;
  const proof = authorize(
    {
      actor: { userId: 'user-00000000000000001', name: 'admin' },
      cloudRole: 'admin',
      project: null,
      requestId: 'bench',
    },
    { scope: 'cloud', role: 'viewer' },
  );
  const query = { from: '2030-02-01T00:00:00Z', to: '2030-02-08T00:00:00Z' };
  const reportOf = async () => {
    const costs: Cost[] = [];
    for (let round = 0; round < rounds; round++) costs.push(await costOf(() => usageReport(deps, proof, query)));
    return costs;
  };
  await store.pool.query(series('select id from instances', 60, reportDays * 24));
  await store.pool.query('vacuum analyze instance_usage');
  const ofAll = await reportOf();
  await store.pool.query(
    `update instances set allocated = id in (select id from instances order by id limit ${reportInstances})`,
  );
  await store.pool.query(series('select id from instances where allocated', 5, reportDays * 288));
  await store.pool.query('vacuum analyze');
  console.log(
    table(
      [`a report over ${reportDays} days, ms`, 'wall', 'CPU of PostgreSQL', 'CPU of the server'],
      [
        cells(`${figure(reportInstances)} instances, from five minutes`, await reportOf()),
        cells(`${figure(rows)} instances, from hours`, ofAll),
      ],
    ),
  );
  await store.close();
  await database.drop();
  await services.close();
}

if (inNamespaces(import.meta.filename)) await main();
