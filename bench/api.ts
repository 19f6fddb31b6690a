// How long the API takes to list 100 of 100,000 instances and to show one, through HTTP with a key, beside the same SQL sent
// to PostgreSQL directly, turn by turn. One caller, so that a figure is a latency and not a queue.
//
// usage: script/node --conditions=development bench/api.ts [REQUESTS a turn, default 400] [TURNS, default 5]
import { randomBytes } from 'node:crypto';
import { Agent, get } from 'node:http';
import { authHeaders } from '@virga/contract/client';
import { AgentRegistry } from '@virga/control-plane/agents/agent-registry';
import { ensureAdministrator } from '@virga/control-plane/bootstrap';
import { defaultSettings, systemClock } from '@virga/control-plane/deps';
import { createFront } from '@virga/control-plane/http/front';
import { listen } from '@virga/control-plane/http/listen';
import { createSeal } from '@virga/control-plane/modules/identity/seal';
import { selectInstances } from '@virga/control-plane/modules/instances/instance-store';
import { openStore, type Store } from '@virga/control-plane/store/database';
import { Notifications } from '@virga/control-plane/store/notifications';
import { silentLog } from '@virga/testing/silent-log';
import { createTemporaryDatabase } from '@virga/testing/temporary-database';
import { startSharedServices } from '../script/test-run/shared-services.ts';
import { figure, quantile, spread, table } from './figures.ts';
import { inNamespaces } from './in-namespaces.ts';

const instanceCount = 100_000;
const pageSize = 100;
const aimMs = 20;
const credentials = { accessKeyId: 'VKBENCHBENCHBENCH222', secret: randomBytes(30).toString('base64url') };

const idOf = (n: number) => `i-${n.toString(16).padStart(17, '0')}` as const;
const anyNumber = () => 1 + Math.floor(Math.random() * (instanceCount - pageSize));
const createdAt = (n: number) => new Date(Date.UTC(2030, 0, 1) + n * 1000);

/** Rows as launches would have left them: one project, a hundred hosts, an address each. */
async function fill({ pool }: Store): Promise<void> {
  const id = (prefix: string, n: string) => `'${prefix}-' || lpad(to_hex(${n}), 17, '0')`;
  await pool.query(`
    insert into hosts (id, name, driver, state) select ${id('host', 'n')}, 'host-' || n, 'simulated', 'ready'
      from generate_series(1, 100) n;
    insert into images (id, project_id, name, visibility, state, format, source, default_user, minimum_memory_mib)
      select ${id('ami', '1')}, id, 'starter', 'public', 'available', 'qcow2', '{}', 'virga', 0 from projects;
    insert into networks (id, project_id, name, visibility, cidr, gateway, bridge, uuid)
      select ${id('net', '1')}, id, 'default', 'public', '10.0.0.0/8', '10.0.0.1', 'vg0', gen_random_uuid() from projects;
    insert into instances (id, project_id, name, domain_name, guest_host_name, uuid, host_id, image_id, type, vcpus, memory_mib, disk_bytes, root_disk_id,
        firmware, key_pairs, desired, converged_generation, allocated, observed_state, created_at)
      select ${id('i', 'n')}, projects.id, 'web-' || n, 'web-' || n || '.' || ${id('i', 'n')}, 'web-' || n, gen_random_uuid(),
        ${id('host', '1 + n % 100')}, ${id('ami', '1')}, 'small',
        1, 512, 4294967296, ${id('vol', 'n')}, 'bios', '[{"name":"ada","publicKey":"ssh-ed25519 AAAA"}]', 'running', 1, true,
        'running', timestamptz '2030-01-01Z' + n * interval '1 s'
      from projects, generate_series(1, ${instanceCount}) n;
    insert into nics (id, instance_id, network_id, mac, address)
      select ${id('eni', 'n')}, ${id('i', 'n')}, ${id('net', '1')},
        ('52:54:' || regexp_replace(lpad(to_hex(n), 8, '0'), '(..)(..)(..)(..)', '\\1:\\2:\\3:\\4'))::macaddr,
        inet '10.0.1.0' + n
      from generate_series(1, ${instanceCount}) n`);
  await pool.query('vacuum analyze');
}

async function startFront(store: Store, config: Parameters<typeof openStore>[0]) {
  const sealKey = randomBytes(32);
  await ensureAdministrator(config, sealKey, {
    user: 'admin',
    password: 'benchmark',
    project: 'default',
    ...credentials,
  });
  await fill(store);
  const notifications = new Notifications(config);
  const common = { clock: systemClock, log: silentLog, settings: defaultSettings, cloudId: 'bench', version: 'bench' };
  const deps = { ...common, db: store.db, notifications, agents: new AgentRegistry([]), seal: createSeal(sealKey) };
  const app = await createFront(deps, { sealKey, limits: { requestsPerMinute: 1e9, loginsPerMinute: 1 } });
  return { url: await listen(app, { host: '127.0.0.1', port: 0 }), close: () => app.close() };
}

/** One request over a connection that is kept; reads the body to its end and does not parse it. */
function request(agent: Agent, url: string): Promise<number> {
  const headers = authHeaders({ server: url, ...credentials });
  return new Promise((resolve, reject) => {
    get(url, { agent, headers }, (response) => {
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on('end', () =>
        response.statusCode === 200 ? resolve(bytes) : reject(new Error(`${response.statusCode} ${url}`)),
      );
    }).on('error', reject);
  });
}

async function latenciesMs(count: number, call: () => Promise<unknown>): Promise<number[]> {
  const latencies: number[] = [];
  for (let i = 0; i < count; i++) {
    const startedAt = performance.now();
    await call();
    latencies.push(performance.now() - startedAt);
  }
  return latencies;
}

async function main(): Promise<void> {
  const [requests = 400, turns = 5] = process.argv.slice(2).map(Number);
  const services = process.env.VIRGA_TEST_DATABASE ? undefined : await startSharedServices();
  Object.assign(process.env, services?.env);
  const database = await createTemporaryDatabase();
  const store = openStore(database.config);
  const front = await startFront(store, database.config);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });

  const page = (n: number) => {
    const cursor = Buffer.from(`${createdAt(n).toISOString()} ${idOf(n)}`).toString('base64url');
    return `${front.url}/v1/instances?limit=${pageSize}&cursor=${cursor}`;
  };
  const project = await store.db.selectFrom('projects').select('id').executeTakeFirstOrThrow();
  const inSql = (n: number) =>
    selectInstances(store.db)
      .where('instances.project_id', '=', project.id)
      .where((where) =>
        where(where.refTuple('instances.created_at', 'instances.id'), '>', where.tuple(createdAt(n), idOf(n))),
      )
      .orderBy('instances.created_at')
      .orderBy('instances.id')
      .limit(pageSize + 1)
      .execute();
  const measured: [string, () => Promise<unknown>, () => Promise<unknown>][] = [
    [
      `list ${pageSize} of ${figure(instanceCount)}, any page`,
      () => request(agent, page(anyNumber())),
      () => inSql(anyNumber()),
    ],
    [
      'show one by id',
      () => request(agent, `${front.url}/v1/instances/${idOf(anyNumber())}`),
      () => selectInstances(store.db).where('instances.id', '=', idOf(anyNumber())).execute(),
    ],
  ];
  const rows: string[][] = [];
  for (const [title, ours, theirs] of measured) {
    const figures = { ours: [] as number[], theirs: [] as number[] };
    await Promise.all([latenciesMs(50, ours), latenciesMs(50, theirs)]); // connections, plans, compiled code
    for (let turn = 0; turn < turns; turn++) {
      figures.theirs.push(...(await latenciesMs(requests, theirs)));
      figures.ours.push(...(await latenciesMs(requests, ours)));
    }
    const [mine, direct] = [spread(figures.ours).median, spread(figures.theirs).median];
    const cells = [mine, quantile(figures.ours, 0.99), direct, quantile(figures.theirs, 0.99), mine / direct].map(
      figure,
    );
    rows.push([title, ...cells]);
  }
  console.log(table(['milliseconds', 'API p50', 'API p99', 'SQL p50', 'SQL p99', 'API over SQL, p50'], rows));
  console.log(
    `\naim: p99 below ${aimMs} ms. Memory of server and caller together: ${figure(process.memoryUsage().rss / 1024 ** 2)} MiB`,
  );
  agent.destroy();
  await front.close();
  await store.close();
  await database.drop();
  await services?.close();
}

if (process.env.VIRGA_TEST_DATABASE || inNamespaces(import.meta.filename)) await main();
