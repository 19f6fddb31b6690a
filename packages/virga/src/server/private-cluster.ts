// A PostgreSQL cluster of our own: durable, as an unprivileged user, reachable over a unix socket by root and that user
// only. It outlives a server that is killed, and the next one adopts it; when it dies it is started again at once.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VirgaError } from '@virga/contract/errors';
import pg from 'pg';
import { isRunning } from '../machine/processes.ts';
import { ensureCluster, lastLogWords, type Owner, ownerNamed, programsFor, writeSettings } from './postgresql.ts';

export type PrivateClusterOptions = {
  /** Made when it is not there; its parent must let the user pass. */
  dataFolder: string;
  /** The socket and the log of the database are in `postgresql` in it: at most 80 bytes. */
  runFolder: string;
  /** The unprivileged user that it runs as; also the name of its one role and of its database. */
  user: string;
  /** Default `postgresql.log` beside the data folder. */
  logPath?: string;
  /** How long it may take to start, recovery from a crash included. Default 120_000. */
  startTimeoutMs?: number;
  /** Called with what a person who looks after the machine should know. */
  report?: (message: string) => void;
};

export type PrivateCluster = {
  /** For a superuser, on a database of its own. */
  config: pg.PoolConfig;
  /** True when it ran already. */
  adopted: boolean;
  /** Stops the cluster in order. */
  stop(): Promise<void>;
  /** Lets it run, for somebody else to adopt. */
  leave(): Promise<void>;
};

const stopTimeoutMs = 60_000;
const pauseMs = 100;
/** Part of the name of the socket; nothing listens on a network. */
const port = 5432;

/**
 * Adopts the cluster of a data folder or starts it, and keeps it running from then on.
 * @throws OperationFailed PostgreSQL is not installed, or does not start
 */
export async function startPrivateCluster(options: PrivateClusterOptions): Promise<PrivateCluster> {
  const cluster = new Cluster(options, ownerNamed(options.user));
  const adopted = await cluster.start();
  return {
    config: cluster.config,
    adopted,
    stop: () => cluster.stop(),
    leave: () => cluster.leave(),
  };
}

/** True when the cluster of a data folder runs, with a server or without. */
export const clusterRuns = (dataFolder: string) => postmasterOf(dataFolder) !== undefined;

/** Stops the cluster of a data folder that runs without a server. Answers false when none runs. */
export async function stopAbandonedCluster(dataFolder: string): Promise<boolean> {
  const pid = postmasterOf(dataFolder);
  if (pid === undefined) return false;
  await endPostmaster(pid);
  return true;
}

class Cluster {
  readonly config: pg.PoolConfig;
  private readonly options: PrivateClusterOptions;
  private readonly owner: Owner;
  private readonly socketFolder: string;
  private readonly logPath: string;
  private ending = false;
  private starting: ChildProcess | undefined;
  private watch: pg.Client | undefined;
  private revival: Promise<void> | undefined;

  constructor(options: PrivateClusterOptions, owner: Owner) {
    this.options = options;
    this.owner = owner;
    this.socketFolder = join(options.runFolder, 'postgresql');
    this.logPath = options.logPath ?? join(options.dataFolder, '../postgresql.log');
    this.config = { host: this.socketFolder, port, user: owner.name, database: owner.name };
  }

  async start(): Promise<boolean> {
    await ensureCluster(this.options.dataFolder, this.owner);
    mkdirSync(this.socketFolder, { recursive: true });
    chownSync(this.socketFolder, this.owner.uid, this.owner.gid);
    chmodSync(this.socketFolder, 0o700);
    const adopted = await this.bringUp();
    await this.ensureDatabase();
    return adopted;
  }

  async stop(): Promise<void> {
    await this.leave();
    const pid = postmasterOf(this.options.dataFolder);
    if (pid !== undefined) await endPostmaster(pid);
  }

  async leave(): Promise<void> {
    this.ending = true;
    await this.revival;
    await this.watch?.end().catch(() => {});
  }

  /** Answers when the cluster takes queries and is watched: true when it ran already. */
  private async bringUp(): Promise<boolean> {
    const deadline = performance.now() + (this.options.startTimeoutMs ?? 120_000);
    let started = false;
    for (;;) {
      const state = await this.tryToWatch();
      if (state === 'watched') return !started;
      // A server that was killed stays in the process table until it is reaped, and PostgreSQL takes it for alive: it
      // refuses to start for as long, and is started again.
      if (state === 'down' && !this.startingNow()) {
        if (started) await delay(pauseMs);
        await this.spawnServer();
        started = true;
      }
      if (performance.now() > deadline) {
        throw new VirgaError('OperationFailed', {
          detail: `The database does not start; its log ends with: ${lastLogWords(this.logPath)}`,
          action: `Mend what it says; the log is ${this.logPath}.`,
        });
      }
      await delay(started ? pauseMs / 4 : 0);
    }
  }

  /** Connects, and holds the connection to learn at once when the cluster dies. */
  private async tryToWatch(): Promise<'watched' | 'down' | 'busy'> {
    const client = new pg.Client({ ...this.config, database: 'postgres', application_name: 'virga watch' });
    client.on('error', () => {});
    try {
      await client.connect();
    } catch (error) {
      await client.end().catch(() => {});
      const code = (error as { code?: string }).code;
      // Nobody listens, or a socket without a server is all that is left.
      if (code === 'ENOENT' || code === 'ECONNREFUSED') return 'down';
      // It is starting, recovering or stopping.
      if (code === '57P03' || code === 'ECONNRESET' || code === 'EPIPE' || code === undefined) return 'busy';
      throw error;
    }
    this.watch = client;
    client.once('end', () => {
      if (!this.ending) this.revive();
    });
    return 'watched';
  }

  private revive(): void {
    this.options.report?.('The database went away; starting it again.');
    this.revival = this.bringUp().then(
      () => this.options.report?.('The database is back.'),
      async (error) => {
        this.options.report?.(`${error instanceof Error ? error.message : error} Trying again.`);
        await delay(1000);
        if (!this.ending) this.revive();
      },
    );
  }

  private startingNow(): boolean {
    return this.starting !== undefined && this.starting.exitCode === null && this.starting.signalCode === null;
  }

  private async spawnServer(): Promise<void> {
    const { dataFolder } = this.options;
    await writeSettings(dataFolder, this.owner);
    const log = openSync(this.logPath, 'a', 0o640);
    // What must hold whatever the files say: no network, a private socket, nothing acknowledged that is not on disk.
    const settings = {
      listen_addresses: '',
      port: String(port),
      unix_socket_directories: this.socketFolder,
      unix_socket_permissions: '0700',
      fsync: 'on',
      full_page_writes: 'on',
      logging_collector: 'off',
      // What a host reserves of them is for guests.
      huge_pages: 'off',
    };
    const child = spawn(
      join(programsFor(dataFolder), 'postgres'),
      ['-D', dataFolder, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      {
        cwd: '/',
        detached: true,
        stdio: ['ignore', log, log],
        uid: this.owner.uid,
        gid: this.owner.gid,
        env: { PATH: process.env.PATH ?? '/usr/bin:/bin', LC_ALL: 'C' },
      },
    );
    closeSync(log);
    child.on('error', () => {});
    child.unref();
    this.starting = child;
  }

  private async ensureDatabase(): Promise<void> {
    const name = this.owner.name;
    const found = await this.watch?.query('select from pg_database where datname = $1', [name]);
    if (found?.rowCount === 0) await this.watch?.query(`create database ${pg.escapeIdentifier(name)}`);
  }
}

/** The running postmaster of a data folder, by the file that it keeps there. */
function postmasterOf(dataFolder: string): number | undefined {
  const path = join(dataFolder, 'postmaster.pid');
  if (!existsSync(path)) return undefined;
  const pid = Number(readFileSync(path, 'utf8').split('\n')[0]);
  return isRunning(pid, 'postgres') ? pid : undefined;
}

/** Disconnects everybody and writes everything down; if that takes too long, leaves the rest to the next start. */
async function endPostmaster(pid: number): Promise<void> {
  process.kill(pid, 'SIGINT');
  const deadline = performance.now() + stopTimeoutMs;
  let hurried = false;
  while (isRunning(pid, 'postgres')) {
    if (!hurried && performance.now() > deadline) {
      process.kill(pid, 'SIGQUIT');
      hurried = true;
    }
    await delay(20);
  }
}
