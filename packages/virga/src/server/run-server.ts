// The server as a process: takes the state folder, brings up its database, its host agent and the control plane, serves
// until it is asked to stop, and puts everything down in the other order. Killed, it leaves the database and all guests
// running, and the next start takes them over.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';
import { ensureAdministrator } from '@virga/control-plane/bootstrap';
import { startControlPlane } from '@virga/control-plane/control-plane';
import { openLibvirtAgent } from '@virga/host-agent/libvirt/libvirt-agent';
import type { Logger } from 'pino';
import { buildId, version } from '../build-info.ts';
import { checkoutPath } from '../machine/checkout.ts';
import { writeCloudId } from './cloud-id.ts';
import { type Folders, prepareFolders, probeKernel } from './folders.ts';
import { openStateDatabase } from './open-state-database.ts';
import { assertCanListen } from './port.ts';
import { ensureAdministratorCredentials, ensureSealKey } from './secrets.ts';
import { openServerLog, trimForeignLog } from './server-log.ts';
import { removeServerRecord, writeServerRecord } from './server-record.ts';
import { parseListen, type ServerSettings, settingsPath, writeServerSettings } from './server-settings.ts';
import { lockState } from './state-lock.ts';

export type RunServerOptions = {
  folders: Folders;
  settings: ServerSettings;
  /** Gets readable log lines; absent: only the log file does. */
  stream?: NodeJS.WritableStream | undefined;
  /** Called with the address when it serves. */
  onReady?: (url: string) => void;
  /** Aborts when the server shall stop. */
  signal: AbortSignal;
};

const databaseLogPeriodMs = 60_000;

/** Serves until the signal aborts. @throws what kept it from starting; then nothing of it runs */
export async function runServer({ folders, settings, stream, onReady, signal }: RunServerOptions): Promise<void> {
  requireRoot();
  await using undo = new AsyncDisposableStack();
  prepareFolders(folders);
  const lock = lockState(folders.state);
  undo.defer(() => lock.release());
  const listen = parseListen(settings.listen);
  await assertCanListen(listen);

  const log = openServerLog({ path: join(folders.log, 'server.log'), level: settings.logLevel, stream });
  log.info({ version, build: buildId, pid: process.pid, state: folders.state }, 'the server starts');
  const crashed = (error: Error) => log.fatal({ err: error }, 'the server broke down');
  process.on('uncaughtExceptionMonitor', crashed);
  undo.defer(() => void process.off('uncaughtExceptionMonitor', crashed));
  try {
    const started = performance.now();
    if (!existsSync(settingsPath(folders))) await writeServerSettings(folders, settings);
    const sealKey = await ensureSealKey(folders);
    const database = await openDatabase(folders, log, undo);
    await ensureAdministrator(database, sealKey, await ensureAdministratorCredentials(folders));
    const agent = await openLibvirtAgent({
      socketPath: settings.libvirtSocket,
      storagePath: settings.storage,
      acceleration: settings.acceleration,
      probe: { kernelPath: probeKernel(folders) },
      benchImage: { recipe: checkoutPath('images', 'bench', 'build') },
      appliance: { recipe: checkoutPath('images', 'appliance', 'build') },
      log: log.child({ part: 'host-agent' }),
    });
    undo.defer(() => agent.close());
    const controlPlane = await startControlPlane({
      database,
      hosts: [{ name: settings.hostName, driver: 'libvirt', agent }],
      sealKey,
      listen,
      log: log.child({ part: 'control-plane' }),
      version,
      settings: {
        usagePeriodMs: settings.usagePeriodSeconds * 1000,
        imageNetworks: settings.imageNetworks,
        imageMaximumFileBytes: settings.imageMaximumGib * 1024 ** 3,
        imageCatalogPath: join(folders.state, 'image-catalog.yaml'),
        imageKeysPath: join(folders.state, 'image-keys'),
      },
    });
    undo.defer(() => controlPlane.close());

    const { url, cloudId } = controlPlane;
    await writeCloudId(folders, cloudId);
    await writeServerRecord(folders, { pid: process.pid, url, version, build: buildId, cloudId });
    undo.defer(() => removeServerRecord(folders));
    log.info({ url, startMs: Math.round(performance.now() - started) }, 'the server serves');
    onReady?.(url);
    await aborted(signal);
    log.info('the server stops');
  } catch (error) {
    log.error({ err: error }, 'the server could not start');
    throw error;
  }
  await undo.disposeAsync();
  log.info('the server has stopped');
}

async function openDatabase(folders: Folders, log: Logger, undo: AsyncDisposableStack) {
  const logPath = join(folders.log, 'postgresql.log');
  const cluster = await openStateDatabase(folders, (message) => log.warn({ part: 'database' }, message));
  undo.defer(() => cluster.stop());
  if (cluster.adopted) log.info({ part: 'database' }, 'took over the database of a server that was killed');
  const trimming = setInterval(() => {
    trimForeignLog(logPath).catch((error) =>
      log.warn({ err: error }, 'the log of the database could not be cut short'),
    );
  }, databaseLogPeriodMs);
  undo.defer(() => clearInterval(trimming));
  return cluster.config;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** @throws Forbidden */
export function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new VirgaError('Forbidden', {
    detail: 'This manages virtual machines and networks of the host, which only root may do.',
    action: 'Run it as root, for instance with sudo.',
  });
}
