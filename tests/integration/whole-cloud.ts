// A whole cloud as a machine has it, inside the namespaces of a test run: the server as a process with a database of its own,
// and the command line as programs that are signed in. Needs a hypervisor only for guests; starts none itself.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Client, createClient } from '@virga/contract/client';
import type { Problem } from '@virga/contract/errors';
import { openStore, type Store } from '@virga/control-plane/store/database';
import { installCli } from '@virga/testing/installed-cli';
import { until } from '@virga/testing/until';
import { databaseUser, type Folders, foldersOf } from 'virga/server/folders';
import { readAdministratorCredentials } from 'virga/server/secrets';
import { readServerRecord } from 'virga/server/server-record';
import { type Outcome, type RunOptions, runProgram } from './run-program.ts';

export type Answer = { status: number; type: string; body: unknown };

/** The first start makes the database, beside whatever else the machine does. */
const startMs = 120_000;
const endMs = 60_000;

export class WholeCloud {
  /** The whole executable: what the command line has, and the commands of a machine. */
  static readonly executable = fileURLToPath(import.meta.resolve('virga/main'));
  readonly folder: string;
  readonly folders: Folders;
  private readonly serverOptions: readonly string[];
  private readonly program: string;
  private server: ChildProcess | undefined;
  private opened: { url: string; client: Client; store: Store; authorization: string } | undefined;

  /** @param serverOptions as `virga server` takes them, besides folders, address and acceleration */
  static async start(serverOptions: readonly string[] = []): Promise<WholeCloud> {
    if (!process.env.VIRGA_TEST_NAMESPACE) throw new Error('run it with script/test');
    const folder = mkdtempSync(join(tmpdir(), 'cloud-'));
    chmodSync(folder, 0o711);
    mkdirSync(join(folder, 'home'));
    const cloud = new WholeCloud(folder, await installCli(folder), serverOptions);
    await cloud.startServer();
    await cloud.signIn();
    return cloud;
  }

  private constructor(folder: string, program: string, serverOptions: readonly string[]) {
    this.folder = folder;
    this.folders = foldersOf(join(folder, 'state'));
    this.program = program;
    this.serverOptions = serverOptions;
  }

  get url(): string {
    return this.running.url;
  }

  /** Signed in as the administrator. */
  get client(): Client {
    return this.running.client;
  }

  get store(): Store {
    return this.running.store;
  }

  get serverPid(): number {
    return this.server?.pid ?? 0;
  }

  async startServer(): Promise<void> {
    const log = openSync(join(this.folder, 'server.output'), 'a');
    // It keeps the port that it had: the command line remembers it.
    const listen = this.opened ? new URL(this.opened.url).host : '127.0.0.1:0';
    const server = spawn(process.execPath, this.serverCommand(['--listen', listen, ...this.serverOptions]), {
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.server = server;
    const { url } = await until(
      'the server serves',
      () => {
        if (server.exitCode !== null) throw new Error(`the server ended with ${server.exitCode}: ${this.serverLog()}`);
        return readServerRecord(this.folders);
      },
      { timeoutMs: startMs },
    );
    const login = { server: url, ...readAdministratorCredentials(this.folders) };
    const socket = join(this.folders.run, 'postgresql');
    await this.opened?.store.close();
    this.opened = {
      url,
      client: createClient(login),
      store: openStore({ host: socket, user: databaseUser, database: databaseUser, max: 2 }),
      authorization: `Basic ${Buffer.from(`${login.accessKeyId}:${login.secret}`).toString('base64')}`,
    };
  }

  /** The words after `node` that start a server on the folders of this cloud. */
  serverCommand(options: readonly string[], folders: Folders = this.folders): string[] {
    const on = ['--state', folders.state, '--run', folders.run, '--acceleration', 'tcg'];
    return ['--conditions=development', WholeCloud.executable, 'server', ...on, ...options];
  }

  /** Stops the server in order, or as the signal does. */
  async stopServer(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const { server } = this;
    if (!server || server.exitCode !== null || server.signalCode !== null) return;
    server.kill(signal);
    await until('the server has ended', () => server.exitCode !== null || server.signalCode !== null, {
      timeoutMs: endMs,
    });
  }

  /** Rebuilds the database, with the server stopped. Answers what is said. */
  async recover(): Promise<string> {
    const words = [WholeCloud.executable, 'recover', '--state', this.folders.state, '--yes'];
    const env = { PATH: process.env.PATH, HOME: join(this.folder, 'home') };
    const { exit, stdout, stderr } = await runProgram(process.execPath, ['--conditions=development', ...words], {
      env,
    });
    if (exit !== 0) throw new Error(`virga recover ended with ${exit}: ${stderr}`);
    return `${stdout}${stderr}`;
  }

  /** Runs the command line, as a process. */
  cli(words: readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const env = { PATH: process.env.PATH, HOME: join(this.folder, 'home'), LANG: 'C.UTF-8', ...options.env };
    const { NODE_COMPILE_CACHE } = process.env;
    return runProgram(this.program, words, { ...options, env: { NODE_COMPILE_CACHE, ...env } });
  }

  /** Runs a line that must succeed; words are apart at spaces. Answers what it prints. */
  async done(line: string, options: RunOptions = {}): Promise<string> {
    const { exit, stdout, stderr } = await this.cli(line.split(' '), options);
    if (exit !== 0) throw new Error(`virga ${line} ended with ${exit}: ${stderr}\n${this.serverLog()}`);
    return stdout;
  }

  async json(line: string) {
    return JSON.parse(await this.done(`${line} --output json`));
  }

  /** Asks the API past every client of ours. */
  async http(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: {
        authorization: this.running.authorization,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const type = response.headers.get('content-type') ?? '';
    return { status: response.status, type, body: text === '' ? undefined : JSON.parse(text) };
  }

  /** Waits until an operation has ended. Answers why it failed; undefined when it succeeded. */
  async failureOf(operationId: string): Promise<Problem | undefined> {
    return until(
      `operation ${operationId} has ended`,
      async () => {
        const { body } = await this.http('GET', `/v1/operations/${operationId}?waitSeconds=10`);
        const { state, error } = body as { state: string; error: Problem | null };
        return (state === 'succeeded' || state === 'failed') && { error: error ?? undefined };
      },
      { timeoutMs: endMs },
    ).then(({ error }) => error);
  }

  /** The last of the server's log, for errors. */
  serverLog(): string {
    return [join(this.folders.log, 'server.log'), join(this.folder, 'server.output')]
      .filter((path) => existsSync(path))
      .map((path) => readFileSync(path, 'utf8').slice(-2_000))
      .join('\n');
  }

  async close(): Promise<void> {
    await this.opened?.store.close();
    await this.stopServer();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async signIn(): Promise<void> {
    const { accessKeyId, secret } = readAdministratorCredentials(this.folders);
    await this.done(`login --server ${this.url} --access-key-id ${accessKeyId} --secret-stdin`, { input: secret });
  }

  private get running() {
    if (!this.opened) throw new Error('the server has not been started');
    return this.opened;
  }
}
