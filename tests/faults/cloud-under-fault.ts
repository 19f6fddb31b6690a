// A cloud whose server is killed again and again: database, host and guests stay, the server process comes and goes.
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { type Client, createClient } from '@virga/contract/client';
import { ensureAdministrator } from '@virga/control-plane/bootstrap';
import { openStore, type Store } from '@virga/control-plane/store/database';
import { until } from '@virga/testing/until';
import { DatabaseRelay } from './database-relay.ts';
import { bundleServer } from './server-program.ts';
import type { FromServer, HostPlan, Inventory, ServerPlan, ToServer } from './server-protocol.ts';

type DatabaseConfig = ServerPlan['database'];

export type CloudOptions = {
  /** For the log and the sockets: a short path. */
  folder: string;
  /** Of a superuser of the cluster, over its unix socket. */
  cluster: DatabaseConfig;
  host: HostPlan;
};

const settings = {
  reconcilePeriodMs: 500,
  factsPeriodMs: 500,
  resyncPeriodMs: 1_000,
  storageReserveBytes: 1024,
  storageReserveRatio: 0,
};
const project = 'faults';

export class CloudUnderFault {
  readonly store: Store;
  readonly relay: DatabaseRelay;
  private readonly plan: ServerPlan;
  private readonly credentials = {
    user: 'admin',
    password: randomBytes(12).toString('hex'),
    accessKeyId: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`,
    secret: randomBytes(20).toString('hex'),
    project,
  };
  private readonly program: string;
  private readonly compileCache: string;
  private server: ChildProcess | undefined;
  private url = '';

  static async create(options: CloudOptions): Promise<CloudUnderFault> {
    const database = `faults_${randomBytes(4).toString('hex')}`;
    const cluster = openStore(options.cluster);
    await cluster.pool.query(`create database ${database}`);
    await cluster.close();
    const relay = await DatabaseRelay.start(join(options.folder, 'pg'), String(options.cluster.host));
    const program = await bundleServer(options.folder);
    const cloud = new CloudUnderFault(options, { ...options.cluster, database }, relay, program);
    const { credentials, plan } = cloud;
    await ensureAdministrator({ ...options.cluster, database }, Buffer.from(plan.sealKeyHex, 'hex'), credentials);
    return cloud;
  }

  private constructor({ folder, host }: CloudOptions, database: DatabaseConfig, relay: DatabaseRelay, program: string) {
    this.program = program;
    this.store = openStore({ ...database, max: 2 });
    this.relay = relay;
    this.compileCache = join(folder, 'compiled');
    this.plan = {
      database: { ...database, host: relay.folder, port: relay.port },
      sealKeyHex: randomBytes(32).toString('hex'),
      host,
      settings,
      logPath: join(folder, 'server.log'),
    };
  }

  get client(): Client {
    const { accessKeyId, secret } = this.credentials;
    return createClient({ server: this.url, accessKeyId, secret, project });
  }

  get isAlive(): boolean {
    return this.server !== undefined;
  }

  /** Starts the server, and answers when it listens. */
  async start(): Promise<void> {
    await this.launch(this.plan);
  }

  /** The same, with its host agent waiting before the first step of that name. */
  async startHeldAt(step: string): Promise<{ held: Promise<string> }> {
    const listening = this.launch({ ...this.plan, holdAt: step });
    const held = this.answer('held').then((message) => message.step);
    await listening;
    return { held };
  }

  private async launch(plan: ServerPlan): Promise<void> {
    const server = fork(this.program, [JSON.stringify(plan)], {
      stdio: 'inherit',
      // It starts again and again: what it compiled once it need not compile again.
      env: { ...process.env, NODE_COMPILE_CACHE: this.compileCache },
    });
    this.server = server;
    server.once('exit', () => {
      this.server = undefined;
    });
    const message = await Promise.race([this.answer('listening'), once(server, 'exit').then(() => undefined)]);
    if (message === undefined) throw new Error(`the server did not start: see ${this.plan.logPath}`);
    this.url = message.url;
  }

  /** Ends the server as a power cut would end it. */
  async kill(): Promise<void> {
    this.shoot();
    await this.died();
  }

  /** The same, without waiting for it to be gone. */
  shoot(): void {
    this.server?.kill('SIGKILL');
  }

  async died(): Promise<void> {
    await until('the server is dead', () => !this.isAlive, { intervalMs: 2 });
  }

  /** After a request that failed: whether the server is dead or about to be. Its connections end before it does. */
  async isDying(): Promise<boolean> {
    return until('the server is dead', () => !this.isAlive, { timeoutMs: 5_000 }).catch(() => false);
  }

  /**
   * Kills the server before the N-th step of its host agent from now on. It may come to a step that was named before while it
   * is told: then it is dead.
   */
  async killAtStep(step: number): Promise<void> {
    const armed = this.answer('armed');
    const died = this.server && once(this.server, 'exit');
    this.tell({ type: 'kill-at-step', step });
    await Promise.race([armed, died]);
  }

  /**
   * Has the host agent wait before its N-th step from now on, or before the first of a name.
   * @returns the name of the step, once it is there
   */
  async holdAtStep(step: number | string): Promise<{ held: Promise<string> }> {
    const held = this.answer('held').then((message) => message.step);
    const armed = this.answer('armed');
    this.tell({ type: 'hold-at-step', step });
    await armed;
    return { held };
  }

  /** Lets a step that is held go on, and holds no other. */
  goOn(): void {
    this.tell({ type: 'hold-at-step', step: Number.POSITIVE_INFINITY });
    this.tell({ type: 'go-on' });
  }

  /** Lets a step that is held go on, and holds the first of that name. */
  async goOnTo(step: string): Promise<{ held: Promise<string> }> {
    const { held } = await this.holdAtStep(step);
    this.tell({ type: 'go-on' });
    return { held };
  }

  /** What is on the host, by the host. */
  inventory(): Promise<Inventory> {
    const inventory = this.answer('inventory');
    this.tell({ type: 'inventory' });
    return inventory;
  }

  async close(): Promise<void> {
    await this.kill();
    await this.store.close();
    await this.relay.close();
  }

  private tell(message: ToServer): void {
    // One that dies meanwhile hears nothing, and its end is seen elsewhere.
    this.server?.send(message, () => undefined);
  }

  private answer<T extends FromServer['type']>(type: T): Promise<Extract<FromServer, { type: T }>> {
    const { server } = this;
    if (server === undefined) throw new Error('the server does not run');
    return new Promise((resolve) => {
      const listen = (message: FromServer) => {
        if (message.type !== type) return;
        server.off('message', listen);
        resolve(message as Extract<FromServer, { type: T }>);
      };
      server.on('message', listen);
    });
  }
}
