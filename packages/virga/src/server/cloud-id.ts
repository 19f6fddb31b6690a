// The id of the cloud beside its database, so that what it made on the host can be told from what others made, also when
// the database is gone.
import { join } from 'node:path';
import { flushName, writeFileDurably } from '@virga/host-agent/durable-file';
import type { Folders } from './folders.ts';

export const cloudIdPath = (folders: Folders) => join(folders.state, 'cloud-id');

export async function writeCloudId(folders: Folders, cloudId: string): Promise<void> {
  const path = cloudIdPath(folders);
  await writeFileDurably(path, `${cloudId}\n`, 0o644);
  await flushName(path);
}
