// The control plane as one thing to start and to close: store, hosts, reconcilers and the REST front, in this order, and
// back in the reverse order. What fails while it starts is undone before the error goes on.
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { HostAgent } from '@virga/contract/agent/agent';
import type pg from 'pg';
import type { Logger } from 'pino';
import { systemAccess } from './access/system-access.ts';
import { AgentRegistry, type RegisteredHost } from './agents/agent-registry.ts';
import { ensureCloudId } from './bootstrap.ts';
import { type Clock, type Deps, defaultSettings, type Settings, systemClock } from './deps.ts';
import { createFront, type FrontLimits } from './http/front.ts';
import { type Listen, listen } from './http/listen.ts';
import { registerHost } from './modules/hosts/host-operations.ts';
import { createSeal } from './modules/identity/seal.ts';
import { startReconcilers } from './reconcile/start-reconcilers.ts';
import { openStore } from './store/database.ts';
import { migrate } from './store/migrate.ts';
import { Notifications } from './store/notifications.ts';

export type ControlPlaneOptions = {
  database: pg.PoolConfig;
  hosts: { name: string; driver: 'libvirt' | 'simulated'; agent: HostAgent }[];
  /** 32 bytes, kept outside the database: seals what must be recovered from it. */
  sealKey: Buffer;
  listen: Listen;
  log: Logger;
  version: string;
  clock?: Clock;
  settings?: Partial<Settings>;
  limits?: FrontLimits;
};

export type ControlPlane = {
  /** Such as `http://127.0.0.1:8470`. */
  url: string;
  cloudId: string;
  /** Answers what is under way, ends streams and consoles, and leaves guests and the agents alone. */
  close(): Promise<void>;
};

/**
 * Migrates, registers the hosts, starts the reconcilers and listens.
 * @throws StoreUnavailable | PortInUse
 */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  await using started = new AsyncDisposableStack();
  const { log, clock = systemClock } = options;
  const store = started.adopt(openStore(options.database), (opened) => opened.close());
  await migrate(store.db);
  const notifications = started.adopt(new Notifications(options.database), (listening) => listening.close());
  await notifications.start();
  const cloudId = await ensureCloudId(store.db);
  const hosts: RegisteredHost[] = [];
  for (const { name, driver, agent } of options.hosts) {
    hosts.push({ id: await registerHost(store.db, systemAccess('hosts'), { name, driver }), name, agent });
  }
  const ownAddresses = addressesOf(options);
  const settings = { ...defaultSettings, ownAddresses, ...options.settings };
  const agents = new AgentRegistry(hosts);
  const seal = createSeal(options.sealKey);
  const deps: Deps = { db: store.db, notifications, clock, log, settings, cloudId, agents, seal };
  started.adopt(startReconcilers(deps), (reconcilers) => reconcilers.close());
  const front = started.adopt(await createFront({ ...deps, version: options.version }, options), (app) => app.close());
  const url = await listen(front, options.listen);
  log.info({ url, cloudId }, 'the control plane listens');
  const running = started.move();
  return { url, cloudId, close: () => running.disposeAsync() };
}

/** Where this server and its database listen, as far as that is on an address. */
function addressesOf({ listen: { host }, database }: ControlPlaneOptions): string[] {
  const isEverywhere = host === '0.0.0.0' || host === '::';
  const own = isEverywhere
    ? Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address))
    : [];
  return [...own, host, database.host ?? ''].filter((address) => isIP(address) !== 0);
}
