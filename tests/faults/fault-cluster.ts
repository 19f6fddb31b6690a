// A folder and a PostgreSQL cluster of a test's own, in the namespaces of the run.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabaseUser, databaseUser, databaseUserExists } from 'virga/server/folders';
import { startPrivateCluster } from 'virga/server/private-cluster';
import type { CloudOptions } from './cloud-under-fault.ts';

export type FaultCluster = {
  /** A short path, because sockets are in it. */
  folder: string;
  config: CloudOptions['cluster'];
  close(): Promise<void>;
};

export async function openFaultCluster(): Promise<FaultCluster> {
  // Of a run that is killed nothing stays behind there.
  const folder = mkdtempSync(join(tmpdir(), 'faults-'));
  chmodSync(folder, 0o711); // the user of the database goes through it
  if (!databaseUserExists()) createDatabaseUser();
  const [dataFolder, runFolder] = [join(folder, 'data'), join(folder, 'run')];
  const cluster = await startPrivateCluster({ dataFolder, runFolder, user: databaseUser });
  const close = async () => {
    await cluster.stop();
    rmSync(folder, { recursive: true });
  };
  return { folder, config: cluster.config, close };
}
