// Puts a disk that was read into a store: opened, mapped, streamed, hashed on the way. Owns nothing.
import { createHash } from 'node:crypto';
import type { CallContext } from '@virga/contract/agent/agent';
import type { BackupStoreAccess, StoredDisk } from '@virga/contract/agent/backups';
import type { BackupId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import type { KeptDisk, ReadDisk } from './backup-folder.ts';
import { dataBytesOf, writeStream } from './disk-stream.ts';
import { withReadDisk } from './read-disk.ts';
import { storeStream } from './restic.ts';
import { tagsOf } from './store-keeping.ts';

/** Of the file in its snapshot. */
export const storedName = 'disk';

/** The id of the snapshot is the beginning of it. */
export async function storeDisk(
  context: AgentContext,
  { id, cloudId, store }: { id: BackupId; cloudId: string; store: BackupStoreAccess },
  disk: KeptDisk & Pick<ReadDisk, 'role' | 'changes'>,
  { signal, onProgress }: CallContext,
): Promise<{ disk: StoredDisk; addedBytes: number }> {
  const { storage } = context;
  return withReadDisk(context, id, disk, signal, async (open, extents) => {
    const dataBytes = dataBytesOf(extents);
    const hash = createHash('sha256');
    let written = 0;
    async function* hashed(): AsyncGenerator<Buffer> {
      for await (const chunk of writeStream(open, extents)) {
        hash.update(chunk);
        yield chunk;
        written += chunk.length;
        onProgress?.('storing the disks', Math.min(100, Math.floor((written / (dataBytes + 1)) * 100)));
      }
    }
    const tags = tagsOf(cloudId, id, disk.id);
    const stored = await storeStream(store, storage.backupsPath, hashed(), { name: storedName, tags, signal });
    return {
      addedBytes: stored.addedBytes,
      disk: {
        ...{ id: disk.id, role: disk.role, sizeBytes: open.sizeBytes, dataBytes, full: !disk.changes },
        sha256: hash.digest('hex'),
        snapshotId: stored.shortId,
      },
    };
  });
}
