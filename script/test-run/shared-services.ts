// What tests beside the code may count on: a database server and a libvirtd, both private to the run.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startHypervisor } from '@virga/testing/hypervisor';
import { createDatabaseUser, databaseUser, databaseUserExists } from '../../packages/virga/src/server/folders.ts';
import { startPrivateCluster } from '../../packages/virga/src/server/private-cluster.ts';

export type SharedServices = { env: NodeJS.ProcessEnv; close(): Promise<void> };

export async function startSharedServices(): Promise<SharedServices> {
  mountHugePages();
  const [hypervisor, database] = await Promise.all([startHypervisor(), startDatabase()]);
  return {
    env: {
      VIRGA_TEST_LIBVIRT_SOCKET: hypervisor.socketPath,
      VIRGA_TEST_DATABASE: JSON.stringify(database.config),
    },
    close: async () => {
      await Promise.all([hypervisor.close(), database.stop()]);
    },
  };
}

/** libvirt gives guests huge pages of what it finds mounted when it is started. */
function mountHugePages(): void {
  const path = '/run/hugepages-2M';
  mkdirSync(path, { recursive: true });
  execFileSync('mount', ['-t', 'hugetlbfs', '-o', 'pagesize=2M', 'hugetlbfs', path]);
}

/** The cluster that a server of ours would start, with its user in the run's own copy of the machine's users. */
async function startDatabase() {
  if (!databaseUserExists()) createDatabaseUser();
  const folder = join(process.env.VIRGA_TEST_NAMESPACE ?? '', 'database');
  mkdirSync(folder, { mode: 0o711 });
  return startPrivateCluster({ dataFolder: join(folder, 'data'), runFolder: '/run/virga-tests', user: databaseUser });
}
