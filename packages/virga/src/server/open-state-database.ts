// The database of a state folder, with its user made when that is missing.
import { join } from 'node:path';
import { createDatabaseUser, databaseUser, databaseUserExists, type Folders } from './folders.ts';
import { type PrivateCluster, startPrivateCluster } from './private-cluster.ts';

/** @throws OperationFailed PostgreSQL is not installed, or does not start */
export function openStateDatabase(folders: Folders, report: (message: string) => void): Promise<PrivateCluster> {
  if (!databaseUserExists()) createDatabaseUser();
  return startPrivateCluster({
    dataFolder: folders.database,
    runFolder: folders.run,
    user: databaseUser,
    logPath: join(folders.log, 'postgresql.log'),
    report,
  });
}
