// How many instances a second find a host, and how long a launch holds its transaction, among 10 and 1,000 simulated hosts and
// in a network without and with 60,000 leases; beside bare transactions that insert one row, turn by turn. Sixteen callers
// at once call the operations themselves: what HTTP adds is measured by api.ts.
//
// usage: script/node --conditions=development bench/placement.ts [LAUNCHES a turn, default 400] [TURNS, default 3]
import { authorize } from '@virga/control-plane/access/authorizer';
import { systemAccess } from '@virga/control-plane/access/system-access';
import { AgentRegistry } from '@virga/control-plane/agents/agent-registry';
import { ensureAdministrator } from '@virga/control-plane/bootstrap';
import { type Deps, defaultSettings, systemClock } from '@virga/control-plane/deps';
import { createSeal } from '@virga/control-plane/modules/identity/seal';
import { launchInstance } from '@virga/control-plane/modules/instances/launch-instance';
import { place } from '@virga/control-plane/modules/placement/placement';
import { inTransaction, openStore, type Store } from '@virga/control-plane/store/database';
import { Notifications } from '@virga/control-plane/store/notifications';
import { silentLog } from '@virga/testing/silent-log';
import { createTemporaryDatabase } from '@virga/testing/temporary-database';
import { startSharedServices } from '../script/test-run/shared-services.ts';
import { figure, quantile, table } from './figures.ts';
import { inNamespaces } from './in-namespaces.ts';

const callers = 16;
const aim = { placementsPerSecond: 500, p99Ms: 20 };
const clouds = [
  { hosts: 10, leases: 0 },
  { hosts: 1_000, leases: 0 },
  { hosts: 1_000, leases: 60_000 },
];
const demand = { vcpus: 1, memoryMib: 256 };

/** Hosts that never fill up, an image, and a network of 65,533 addresses with its lowest ones leased. */
async function fill({ pool }: Store, { hosts, leases }: (typeof clouds)[number]): Promise<void> {
  await pool.query(`
    insert into hosts (id, name, driver, state, schedulable_vcpus, schedulable_memory_mib, storage_headroom_bytes)
      select 'host-' || lpad(to_hex(n), 17, '0'), 'host-' || n, 'simulated', 'ready', 1000000, 100000000, 1e15
      from generate_series(1, ${hosts}) n;
    insert into images (id, project_id, name, visibility, state, format, source, default_user, minimum_memory_mib)
      select 'ami-00000000000000001', id, 'disk', 'public', 'available', 'qcow2', '{}', 'virga', 0 from projects;
    insert into networks (id, project_id, name, visibility, cidr, gateway, bridge, uuid)
      select 'net-00000000000000001', id, 'default', 'public', '10.0.0.0/16', '10.0.0.1', 'vg0', gen_random_uuid()
      from projects;
    insert into addresses (network_id, address, released_at)
      select 'net-00000000000000001', inet '10.0.0.1' + n, case when n > ${leases} then timestamptz '-infinity' end
      from generate_series(1, 65533) n;
    create table bare (id text primary key, value text not null)`);
  await pool.query('vacuum analyze');
}

async function operatorOf({ db }: Store) {
  const project = await db.selectFrom('projects').select('id').executeTakeFirstOrThrow();
  const user = await db.selectFrom('users').select('id').executeTakeFirstOrThrow();
  const actor = { userId: user.id, name: 'admin' };
  return authorize(
    { actor, cloudRole: 'admin', project: { id: project.id, role: 'admin' }, requestId: 'bench' },
    { scope: 'project', role: 'operator' },
  );
}

type Turn = { seconds: number; latenciesMs: number[] };

/** That many calls by sixteen callers. Each call says how long it took what is measured of it. */
async function turnOf(count: number, call: () => Promise<number>): Promise<Turn> {
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  let left = count;
  const caller = async () => {
    while (left-- > 0) latenciesMs.push(await call());
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return { seconds: (performance.now() - startedAt) / 1000, latenciesMs };
}

async function timed(call: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await call();
  return performance.now() - startedAt;
}

async function measure(cloud: (typeof clouds)[number], launches: number, turns: number): Promise<string[][]> {
  const database = await createTemporaryDatabase();
  await ensureAdministrator(database.config, Buffer.alloc(32, 1), {
    user: 'admin',
    password: 'benchmark',
    accessKeyId: 'VKAAAAAAAAAAAAAAAAAA',
    secret: 'benchmark',
    project: 'default',
  });
  const store = openStore({ ...database.config, max: callers });
  await fill(store, cloud);
  const [operator, system] = [await operatorOf(store), systemAccess('bench')];
  const notifications = new Notifications(database.config);
  const common = { clock: systemClock, log: silentLog, settings: defaultSettings, cloudId: 'bench' };
  const seal = createSeal(Buffer.alloc(32));
  const deps: Deps = { ...common, db: store.db, notifications, agents: new AgentRegistry([]), seal };
  let serial = 0;
  const calls = {
    place: () =>
      inTransaction(store.db, async (tx) => {
        await tx.selectFrom('settings').select('key').limit(1).execute(); // so that the transaction has begun
        return timed(() => place(tx, system, demand));
      }),
    launch: () => timed(() => launchInstance(deps, operator, { name: `web-${serial++}`, image: 'disk', type: 'tiny' })),
    bare: () =>
      timed(async () => {
        const session = await store.pool.connect();
        await session.query('begin');
        await session.query('insert into bare values ($1, $2)', [`row-${serial++}`, 'x'.repeat(200)]);
        await session.query('commit');
        session.release();
      }),
  };
  const measured = { place: [] as Turn[], launch: [] as Turn[], bare: [] as Turn[] };
  for (const call of Object.values(calls)) await turnOf(100, call); // connections, plans, compiled code
  for (let turn = 0; turn < turns; turn++) {
    measured.bare.push(await turnOf(launches, calls.bare));
    measured.place.push(await turnOf(launches, calls.place));
    measured.launch.push(await turnOf(launches, calls.launch));
  }
  await store.close();
  await database.drop();
  const perSecond = (of: Turn[]) => (launches * turns) / of.reduce((sum, { seconds }) => sum + seconds, 0);
  const bare = perSecond(measured.bare);
  const row = (title: string, of: Turn[]) => {
    const latencies = of.flatMap(({ latenciesMs }) => latenciesMs);
    const figures = [perSecond(of), quantile(latencies, 0.5), quantile(latencies, 0.99), bare, bare / perSecond(of)];
    return [title, ...figures.map(figure)];
  };
  const where = `${cloud.hosts} hosts, ${cloud.leases} leases`;
  return [row(`placement, ${where}`, measured.place), row(`launch, ${where}`, measured.launch)];
}

async function main(): Promise<void> {
  const [launches = 400, turns = 3] = process.argv.slice(2).map(Number);
  const services = process.env.VIRGA_TEST_DATABASE ? undefined : await startSharedServices();
  Object.assign(process.env, services?.env);
  const rows: string[][] = [];
  for (const cloud of clouds) rows.push(...(await measure(cloud, launches, turns)));
  const header = [
    `${callers} callers at once`,
    'a second',
    'p50 ms',
    'p99 ms',
    'bare inserts a second',
    'bare inserts in one',
  ];
  console.log(table(header, rows));
  console.log(
    `\naim: ${aim.placementsPerSecond} placements a second among 1 000 hosts, p99 below ${aim.p99Ms} ms. The p50 and p99 of a placement are of the decision alone.`,
  );
  await services?.close();
}

if (process.env.VIRGA_TEST_DATABASE || inNamespaces(import.meta.filename)) await main();
