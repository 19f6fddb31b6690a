// A control plane without its HTTP front, on a database of its own and simulated hosts: what acts is real, guests are not.
// It can be killed as SIGKILL would, at any step, and started anew on the same database and the same hosts.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Problem } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { Instance, LaunchInstance } from '@virga/contract/rest/instances';
import type { Operation } from '@virga/contract/rest/operations';
import { authorize, type CloudAccess, type ProjectAccess } from '@virga/control-plane/access/authorizer';
import { systemAccess } from '@virga/control-plane/access/system-access';
import { AgentRegistry } from '@virga/control-plane/agents/agent-registry';
import { ensureAdministrator, ensureCloudId } from '@virga/control-plane/bootstrap';
import { type Clock, type Deps, defaultSettings, type Settings, systemClock } from '@virga/control-plane/deps';
import { registerHost } from '@virga/control-plane/modules/hosts/host-operations';
import { createSeal } from '@virga/control-plane/modules/identity/seal';
import { registerImage } from '@virga/control-plane/modules/images/image-operations';
import { getInstance, launchInstance } from '@virga/control-plane/modules/instances/instance-operations';
import { createNetwork } from '@virga/control-plane/modules/networks/network-operations';
import { getOperation } from '@virga/control-plane/modules/operations/operation-operations';
import { startReconcilers } from '@virga/control-plane/reconcile/start-reconcilers';
import { openStore, type Store } from '@virga/control-plane/store/database';
import { Notifications } from '@virga/control-plane/store/notifications';
import { tinyGuestDisc } from '@virga/host-agent/contract-suite/tiny-disc';
import {
  openSimulatedAgent,
  type SimulatedAgent,
  type SimulatedAgentOptions,
} from '@virga/host-agent/simulated/simulated-agent';
import { instantTimings } from '@virga/host-agent/simulated/simulated-timings';
import { pino } from 'pino';
import { freezable, freezingHook, liveAs, ServerLife } from './freezable-agents.ts';
import { createTemporaryDatabase, type TemporaryDatabase } from './temporary-database.ts';
import { until } from './until.ts';

export type SimulatedCloudOptions = {
  hosts?: Partial<SimulatedAgentOptions>[];
  settings?: Partial<Settings>;
  /** Of the server; default the system's. */
  clock?: Clock;
  logLevel?: string;
};

/** What `launch` asks for, to be changed as a test wants. */
export const launchOf = (name: string): LaunchInstance => ({ name, image: 'disk', type: 'tiny' });

type Server = {
  life: ServerLife;
  store: Store;
  deps: Deps;
  agents: SimulatedAgent[];
  reconcilers: { close(): Promise<void> };
};

const endOtherSessions = `select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid()`;

export class SimulatedCloud {
  readonly #options: SimulatedCloudOptions;
  readonly #database: TemporaryDatabase;
  readonly #hosts: SimulatedAgent[];
  readonly operator: ProjectAccess<'operator'> & ProjectAccess<'admin'>;
  readonly administrator: CloudAccess<'admin'>;
  #server: Server;
  readonly #folders: string[] = [];
  readonly #strangers: SimulatedAgent[] = [];

  private constructor(
    options: SimulatedCloudOptions,
    database: TemporaryDatabase,
    hosts: SimulatedAgent[],
    server: Server,
    accesses: Pick<SimulatedCloud, 'operator' | 'administrator'>,
  ) {
    this.#options = options;
    this.#database = database;
    this.#hosts = hosts;
    this.#server = server;
    this.operator = accesses.operator;
    this.administrator = accesses.administrator;
  }

  static async start(options: SimulatedCloudOptions = {}): Promise<SimulatedCloud> {
    const database = await createTemporaryDatabase();
    const hosts = (options.hosts ?? [{}]).map((host, index) =>
      openSimulatedAgent({ name: `host-${index + 1}`, timings: instantTimings, hook: freezingHook, ...host }),
    );
    await ensureAdministrator(database.config, Buffer.alloc(32, 1), {
      user: 'admin',
      password: 'only-for-this-test',
      accessKeyId: 'VKAAAAAAAAAAAAAAAAAA',
      secret: 'only-for-this-test',
      project: 'default',
    });
    const server = await startServer(database, hosts, options);
    const { id: projectId } = await server.deps.db.selectFrom('projects').select('id').executeTakeFirstOrThrow();
    const { id: userId } = await server.deps.db.selectFrom('users').select('id').executeTakeFirstOrThrow();
    const caller = {
      actor: { userId, name: 'admin' },
      cloudRole: 'admin' as const,
      project: { id: projectId, role: 'admin' as const },
      requestId: 'test',
    };
    const cloud = new SimulatedCloud(options, database, hosts, server, {
      operator: authorize(caller, { scope: 'project', role: 'admin' }) as SimulatedCloud['operator'],
      administrator: authorize(caller, { scope: 'cloud', role: 'admin' }) as SimulatedCloud['administrator'],
    });
    await cloud.hostsAreReady();
    return cloud;
  }

  get deps(): Deps {
    return this.#server.deps;
  }

  /** The first host, or the one of that index. */
  host(index = 0): SimulatedAgent {
    return this.#server.agents[index]!;
  }

  /** A host that is not of the cloud. */
  strangeHost(): SimulatedAgent {
    const host = openSimulatedAgent({ name: 'stranger', timings: instantTimings });
    this.#strangers.push(host);
    return host;
  }

  async hostsAreReady(): Promise<void> {
    await until('every host is ready', async () => {
      const rows = await this.deps.db.selectFrom('hosts').select('state').execute();
      return rows.length === this.#hosts.length && rows.every(({ state }) => state === 'ready');
    });
  }

  /** Creates the network `default` and the image `disk`, of 1 MiB, and waits until both can be used. */
  async prepare({ cidr = '10.77.0.0/20' }: { cidr?: string } = {}): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'virga-simulated-cloud-'));
    this.#folders.push(folder);
    const path = join(folder, 'disk.raw');
    await writeFile(path, Buffer.alloc(1024 * 1024, 'virga'));
    const network = await createNetwork(this.deps, this.administrator, { name: 'default', cidr });
    const image = await registerImage(this.deps, this.administrator, { name: 'disk', path, format: 'raw' });
    await this.succeeded(network.operationId);
    await this.succeeded(image.operationId);
  }

  /** Registers a disc that boots, and waits until it can be used. */
  async registerDisc(name: string): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), 'virga-simulated-cloud-'));
    this.#folders.push(folder);
    const path = join(folder, 'disc.iso');
    await writeFile(path, tinyGuestDisc());
    const body = { name, path, kind: 'iso', format: 'raw' } as const;
    await this.succeeded((await registerImage(this.deps, this.administrator, body)).operationId);
  }

  /** Launches an instance of the type tiny, and waits until it runs. */
  async launch(name: string): Promise<Instance> {
    const { instance, operationId } = await launchInstance(this.deps, this.operator, launchOf(name));
    await this.succeeded(operationId);
    return this.instance(instance.id);
  }

  async instance(id: InstanceId): Promise<Instance> {
    return getInstance(this.deps.db, this.operator, id);
  }

  /** Waits until the operation has ended. */
  async ended(id: OperationId): Promise<Operation> {
    const look = async () => {
      const operation = await getOperation(this.deps, this.operator, id, 0, new AbortController().signal);
      return operation.finishedAt !== null && operation;
    };
    // There may be hundreds before it, on a machine that has a lot else to do.
    return until(`operation ${id} has ended`, look, { timeoutMs: 90_000 });
  }

  async succeeded(id: OperationId): Promise<Operation> {
    const operation = await this.ended(id);
    assert.equal(operation.state, 'succeeded', JSON.stringify(operation.error));
    return operation;
  }

  /** Waits until the operation has failed, and answers why. */
  async failed(id: OperationId): Promise<Problem> {
    const operation = await this.ended(id);
    assert.equal(operation.state, 'failed');
    return operation.error!;
  }

  /** Types of the events of a resource, oldest first. */
  async eventTypes(resourceId: string): Promise<string[]> {
    const rows = await this.deps.db
      .selectFrom('events')
      .select('type')
      .where('resource_id', '=', resourceId)
      .orderBy('txid')
      .orderBy('seq')
      .execute();
    return rows.map(({ type }) => type);
  }

  /** Nothing of an instance is anywhere: no row, no lease, nothing promised, nothing on a host. */
  async assertNothingLeft(): Promise<void> {
    const { db, cloudId } = this.deps;
    assert.deepEqual(await db.selectFrom('instances').select('id').execute(), []);
    assert.deepEqual(await db.selectFrom('nics').select('id').execute(), []);
    const leased = await db.selectFrom('addresses').select('address').where('released_at', 'is', null).execute();
    assert.deepEqual(leased, []);
    for (const host of await db.selectFrom('hosts').selectAll().execute()) {
      assert.deepEqual([host.allocated_vcpus, host.allocated_memory_mib], [0, 0], host.name);
    }
    for (const host of this.#server.agents) {
      assert.deepEqual(await host.listInstances(cloudId), []);
      for (const { leases } of await host.listNetworks(cloudId)) assert.deepEqual(leases, []);
    }
  }

  /** Ends the server in order. */
  async stop(): Promise<void> {
    const { reconcilers, deps, store } = this.#server;
    await reconcilers.close();
    await deps.notifications.close();
    await store.close();
  }

  /** Resolves when a call to a host has come to that step, or to `after applyInstance` and the like, where it stays. */
  freezeAt(point: string): Promise<void> {
    return this.#server.life.freezeAt(point);
  }

  /** Ends the server as SIGKILL does: what is under way on a host stays where it is, and nothing more is written. */
  async kill(): Promise<void> {
    const { store, deps, life, reconcilers } = this.#server;
    life.end();
    store.pool.end().catch(() => {});
    refuseWaiting(store.pool);
    await withSessions(this.#database, (sessions) => sessions.query(endOtherSessions));
    await deps.notifications.close();
    // Its timers would keep the process; calls that are frozen never let it end.
    reconcilers.close().catch(() => {});
  }

  /** Starts a server after `stop` or `kill`. */
  async startAgain(): Promise<void> {
    this.#server = await startServer(this.#database, this.#hosts, this.#options);
  }

  /** Asks for something, kills the server when it has come to the point, starts it anew, and waits for what was asked for. */
  async killedAt<T extends { operationId: OperationId }>(point: string, ask: () => Promise<T>): Promise<T> {
    const reached = this.freezeAt(point);
    const answer = await ask();
    await reached;
    await this.kill();
    await this.startAgain();
    await this.succeeded(answer.operationId);
    return answer;
  }

  async close(): Promise<void> {
    await this.stop();
    for (const folder of this.#folders) await rm(folder, { recursive: true });
    for (const agent of [...this.#server.agents, ...this.#hosts, ...this.#strangers]) await agent.close();
    await this.#database.drop();
  }
}

async function startServer(
  database: TemporaryDatabase,
  hosts: SimulatedAgent[],
  options: SimulatedCloudOptions,
): Promise<Server> {
  const life = new ServerLife();
  return liveAs(life, async () => {
    const store = openStore(database.config);
    const notifications = new Notifications(database.config);
    await notifications.start();
    const agents = hosts.map((host) => host.reopen());
    const registered = [];
    for (const [index, agent] of agents.entries()) {
      const name = `host-${index + 1}`;
      const id = await registerHost(store.db, systemAccess('hosts'), { name, driver: 'simulated' });
      registered.push({ id, name, agent: freezable(agent) });
    }
    const deps: Deps = {
      db: store.db,
      notifications,
      clock: options.clock ?? systemClock,
      log: pino({ level: options.logLevel ?? 'silent' }),
      settings: { ...defaultSettings, ...options.settings },
      cloudId: await ensureCloudId(store.db),
      agents: new AgentRegistry(registered),
      seal: createSeal(Buffer.alloc(32, 1)),
    };
    return { life, store, deps, agents, reconcilers: startReconcilers(deps) };
  });
}

/** pg's pool never answers who still waits for a connection when it is ended: nobody would see that the server is gone. */
function refuseWaiting(pool: Store['pool']): void {
  const { _pendingQueue: waiting } = pool as unknown as { _pendingQueue: { callback(error: Error): void }[] };
  for (const { callback } of waiting.splice(0)) callback(new Error('Connection terminated: the server was killed'));
}

async function withSessions(
  database: TemporaryDatabase,
  work: (pool: Store['pool']) => Promise<unknown>,
): Promise<void> {
  const store = openStore({ ...database.config, max: 1 });
  try {
    await work(store.pool);
  } finally {
    await store.close();
  }
}
