// The cloud that is measured: made by `script/up` like anybody's, inside the namespaces of the benchmark. Signed in through
// the profile that `up` leaves, as a person would be.
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readConfig } from '@virga/cli/config/config-file';
import { followOperation } from '@virga/cli/operations/follow-operation';
import { type Client, createClient } from '@virga/contract/client';
import type { OperationId } from '@virga/contract/ids';
import type { Instance } from '@virga/contract/rest/instances';
import { until } from '@virga/testing/until';

const root = join(import.meta.dirname, '../..');

export type Launch = { name: string; type: string };

export class BenchCloud {
  readonly client: Client;

  private constructor(client: Client) {
    this.client = client;
  }

  static async start(image: string, folder: string): Promise<BenchCloud> {
    // The namespaces do not have a PATH of their own, and `up` puts virga on it.
    const programs = join(folder, 'programs');
    command('cp', '--archive', '/usr/local/bin', programs);
    command('mount', '--bind', programs, '/usr/local/bin');
    command('rm', '-f', '/usr/local/bin/virga');
    command(join(root, 'script/up'), '--yes', '--no-instance', '--starter-image', image);
    const { profiles, currentProfile } = await readConfig(process.env);
    const profile = profiles[currentProfile ?? ''];
    if (!profile) throw new Error('script/up left no profile to sign in with');
    const client = createClient(profile);
    await until('the host is ready', async () => {
      return (await client.listHosts({ query: {} })).items.some(({ state }) => state === 'ready');
    });
    return new BenchCloud(client);
  }

  /** Asks for an instance; answers as soon as the API does. */
  async request({ name, type }: Launch): Promise<{ instance: Instance; operationId: OperationId }> {
    const keyPairs = (await this.client.listKeyPairs({ query: {} })).items.map((keyPair) => keyPair.name);
    return this.client.launchInstance({ body: { name, image: 'starter', type, keyPairs } });
  }

  async follow(id: OperationId): Promise<void> {
    await followOperation(this.client, id, { signal: AbortSignal.timeout(300_000), onChange: () => undefined });
  }

  async delete({ id }: Instance): Promise<void> {
    await this.follow((await this.client.deleteInstance({ query: {}, params: { id } })).operationId);
  }

  async byName(name: string): Promise<Instance> {
    const [instance] = (await this.client.listInstances({ query: { name } })).items;
    if (!instance) throw new Error(`there is no instance ${name}`);
    return instance;
  }

  /** `virga launch --wait=ssh`, as a person types it. */
  async launchFromCommandLine({ name, type }: Launch): Promise<void> {
    await run('/usr/local/bin/virga', 'launch', name, '--image', 'starter', '--type', type, '--wait=ssh');
  }

  stop(): void {
    command(join(root, 'script/down'), '--yes');
  }
}

/** Runs a program to its end, while the benchmark goes on. */
export function run(program: string, ...args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ${args.join(' ')}: ${stderr}`))));
  });
}

export function command(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`, { cause: error });
  return stdout;
}
