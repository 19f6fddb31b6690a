// A control plane of its own for a test: on a database of its own, over simulated hosts, listening on a free port, with an
// administrator signed in. What a test makes in it goes with it.
import { randomBytes } from 'node:crypto';
import { type Client, type ClientOptions, createClient } from '@virga/contract/client';
import type { ProjectRole } from '@virga/contract/route';
import { ensureAdministrator } from '@virga/control-plane/bootstrap';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from '@virga/control-plane/control-plane';
import { openSimulatedAgent, type SimulatedAgent } from '@virga/host-agent/simulated/simulated-agent';
import { instantTimings } from '@virga/host-agent/simulated/simulated-timings';
import { silentLog } from './silent-log.ts';
import { createTemporaryDatabase, type TemporaryDatabase } from './temporary-database.ts';

export type TemporaryCloud = {
  url: string;
  controlPlane: ControlPlane;
  database: TemporaryDatabase['config'];
  agents: SimulatedAgent[];
  credentials: Required<Pick<ClientOptions, 'accessKeyId' | 'secret'>>;
  /** Signed in as the administrator, in the project `default`. */
  client: Client;
  /** Somebody else: a fresh user with a key, and with these roles by name of the project. */
  addUser(
    name: string,
    options?: { cloudRole?: 'none' | 'viewer' | 'admin'; roles?: Record<string, ProjectRole> },
  ): Promise<Required<Pick<ClientOptions, 'accessKeyId' | 'secret'>>>;
  close(): Promise<void>;
};

export type TemporaryCloudOptions = Partial<Omit<ControlPlaneOptions, 'database' | 'hosts' | 'sealKey'>> & {
  /** Default one host that does everything at once. */
  agents?: SimulatedAgent[];
  /** In place of simulated ones; whoever opened their agents closes them. */
  hosts?: ControlPlaneOptions['hosts'];
  /** Default a fresh one. One that is given is not dropped. */
  database?: TemporaryDatabase;
};

export async function startTemporaryCloud(options: TemporaryCloudOptions = {}): Promise<TemporaryCloud> {
  const {
    hosts,
    agents = hosts ? [] : [openSimulatedAgent({ name: 'sim-1', timings: instantTimings })],
    database: given,
    ...rest
  } = options;
  const database = given ?? (await createTemporaryDatabase());
  const sealKey = randomBytes(32);
  const credentials = { accessKeyId: 'VKADMINADMINADMIN222', secret: randomBytes(30).toString('base64url') };
  const admin = { user: 'admin', password: randomBytes(12).toString('hex'), project: 'default', ...credentials };
  await ensureAdministrator(database.config, sealKey, admin);
  const controlPlane = await startControlPlane({
    database: database.config,
    sealKey,
    hosts:
      hosts ??
      (await Promise.all(
        agents.map(async (agent) => ({ name: (await agent.facts()).name, driver: 'simulated' as const, agent })),
      )),
    listen: { host: '127.0.0.1', port: 0 },
    log: silentLog,
    version: '0.0.0-test',
    ...rest,
  });
  const client = createClient({ server: controlPlane.url, ...credentials });
  return {
    url: controlPlane.url,
    controlPlane,
    database: database.config,
    agents,
    credentials,
    client,
    async addUser(name, { cloudRole = 'none', roles = {} } = {}) {
      const user = await client.createUser({ body: { name, cloudRole } });
      for (const [project, role] of Object.entries(roles)) {
        const inProject = createClient({ server: controlPlane.url, ...credentials, project });
        await inProject.setMember({ params: { id: user.id }, body: { role } });
      }
      const { apiKey, secret } = await client.createApiKey({ body: { userId: user.id } });
      return { accessKeyId: apiKey.accessKeyId, secret };
    },
    async close() {
      await controlPlane.close();
      for (const agent of agents) await agent.close();
      if (!given) await database.drop();
    },
  };
}
