// Single files of a disk that was fetched from a backup store, read without a guest and without the host's kernel mounting it.
// Changes nothing. One look at a disk at a time.
import type { BackupKeeping, RestoredPath } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import { nothingThere } from '../../backup-conflicts.ts';
import type { DiskContents } from '../../disk-contents/disk-contents.ts';
import { openRawDisk } from '../../disk-contents/raw-disk.ts';
import { exists } from '../../exists.ts';
import type { AgentContext } from '../agent-context.ts';
import { openGuestContents } from '../image-building/guest-contents.ts';
import { backupFolder } from './backup-folder.ts';
import { fetchedDisk } from './restore-folder.ts';

/** Of a piece, and of a file: it is read from its beginning for each, in memory. */
const mostBytes = 8 * 1024 * 1024;
const largestBytes = 64 * 1024 * 1024;

export function readRestoredPath(context: AgentContext): BackupKeeping['readRestoredPath'] {
  const { storage, locks } = context;
  return ({ id, disk: diskId, path, offset }, { signal } = {}) =>
    locks.run(id, async () => {
      const file = fetchedDisk(storage, id, diskId);
      if (!(await exists(file))) throw notFetched(id);
      const disk = await openRawDisk(
        { path: file, format: 'qcow2' },
        { folder: backupFolder(storage, id), writable: false, signal },
      );
      try {
        const opened = await openGuestContents(context, disk, { signal });
        if (!('root' in opened)) throw unreadable(opened.why);
        return await look(opened.root, path, offset);
      } finally {
        await disk.close();
      }
    });
}

async function look(root: DiskContents, path: string, offset: number): Promise<RestoredPath> {
  const entry = await root.stat(path);
  if (entry?.kind === 'folder') {
    const entries = await root.list(path);
    return { kind: 'folder', entries: entries.map(({ name, kind, sizeBytes }) => ({ name, kind, sizeBytes })) };
  }
  if (entry?.kind !== 'file') throw nothingThere(path);
  const { sizeBytes } = entry;
  if (sizeBytes > largestBytes) throw tooLarge(path, sizeBytes);
  const content = ((await root.read(path, offset + mostBytes)) ?? Buffer.alloc(0)).subarray(offset);
  const truncated = sizeBytes > offset + content.length;
  return { kind: 'file', sizeBytes, content: content.toString('base64'), truncated };
}

export const notFetched = (id: string) =>
  new VirgaError('NotFound', {
    detail: `The disks of ${id} are not on this host.`,
    action: 'Open the backup again: virga backups files.',
  });

const tooLarge = (path: string, sizeBytes: number) =>
  new VirgaError('Conflict', {
    detail: `${path} has ${Math.ceil(sizeBytes / 1024 / 1024)} MiB; files of up to ${largestBytes / 1024 / 1024} MiB are fetched one by one.`,
    action: 'Restore the backup as a new instance, and copy it from there.',
  });

const unreadable = (why: string) =>
  new VirgaError('Conflict', {
    detail: `Files of the backup cannot be read one by one: ${why}.`,
    action: 'Restore it as a new instance, and copy them from there.',
  });
