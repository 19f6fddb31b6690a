// A control plane as a process that root's rights over files were taken from, as if it ran as somebody else: on a database of
// its own beside that of a cloud, over the libvirtd of the run. What it may not open stays closed to it.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureAdministrator } from '@virga/control-plane/bootstrap';
import { openStore, type Store } from '@virga/control-plane/store/database';
import { until } from '@virga/testing/until';
import { databaseUser } from 'virga/server/folders';
import { DatabaseRelay } from '../faults/database-relay.ts';
import type { FromServer, ServerPlan } from '../faults/server-protocol.ts';
import type { WholeCloud } from './whole-cloud.ts';

export type UnprivilegedServer = {
  url: string;
  accessKeyId: string;
  secret: string;
  store: Store;
  close(): Promise<void>;
};

const program = fileURLToPath(new URL('../faults/server-under-fault.ts', import.meta.url));

export async function startUnprivilegedServer({ folder, folders, store }: WholeCloud): Promise<UnprivilegedServer> {
  const database = 'unprivileged';
  await store.pool.query(`create database ${database}`);
  const socketFolder = join(folders.run, 'postgresql');
  const config = { host: socketFolder, user: databaseUser, database };
  const sealKey = randomBytes(32);
  const key = { accessKeyId: 'VKUNPRIVILEGED222222', secret: randomBytes(20).toString('hex') };
  await ensureAdministrator(config, sealKey, { user: 'admin', password: key.secret, project: 'default', ...key });
  const storagePath = join(folder, 'unprivileged');
  mkdirSync(storagePath);
  const relay = await DatabaseRelay.start(join(folder, 'pg'), socketFolder);
  const plan: ServerPlan = {
    database: { ...config, host: relay.folder, port: relay.port },
    sealKeyHex: sealKey.toString('hex'),
    host: { driver: 'libvirt', storagePath },
    settings: {},
    logPath: join(folder, 'unprivileged.log'),
  };
  const server = spawn(
    'setpriv',
    [
      '--bounding-set=-dac_override,-dac_read_search',
      ...[process.execPath, '--conditions=development', program, JSON.stringify(plan)],
    ],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  const own = openStore({ ...config, max: 1 });
  return {
    url: await listening(server),
    ...key,
    store: own,
    async close() {
      await own.close();
      server.disconnect();
      await until('the unprivileged server has ended', () => server.exitCode !== null);
      await relay.close();
      await store.pool.query(`drop database ${database} (force)`);
    },
  };
}

function listening(server: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    server.on('message', (message: FromServer) => message.type === 'listening' && resolve(message.url));
    server.once('exit', (code) => reject(new Error(`the unprivileged server ended with ${code}`)));
  });
}
