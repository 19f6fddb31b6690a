// Fetches a disk from a store: the full content first, then what has changed, in order. Each is compared with the checksum that was
// written down when it was stored. Owns the file from nothing to named; one that is there is whole.
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { CallContext } from '@virga/contract/agent/agent';
import type { BackupStoreAccess, DiskChain } from '@virga/contract/agent/backups';
import { finishFile, partialPath } from '../../durable-file.ts';
import { exists } from '../../exists.ts';
import { runCommand } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';
import { readStream, StreamBroken, zeroRange } from './disk-stream.ts';
import type { NbdClient } from './nbd-client.ts';
import { withOpenDisk } from './open-disk.ts';
import { startRestic } from './restic.ts';
import { storedName } from './store-disk.ts';
import { readSnapshot, unusableSnapshot } from './stored-snapshot.ts';

const diskMode = 0o600;

type Fetch = { store: BackupStoreAccess; path: string; chain: DiskChain; hidesBase: boolean };

export const chainBytes = (chain: DiskChain): number => chain.reduce((sum, { dataBytes }) => sum + dataBytes, 0);

/** Makes a qcow2. Idempotent. @throws BackupUnusable | BackupStoreUnavailable */
export async function fetchDisk(
  context: AgentContext,
  { store, path, chain, hidesBase }: Fetch,
  { signal, onProgress }: CallContext,
): Promise<void> {
  if (await exists(path)) return;
  const partial = partialPath(path);
  await rm(partial, { force: true });
  const sizeBytes = chain.at(-1)!.sizeBytes;
  await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', partial, String(sizeBytes)], {
    ...{ signal, package: 'qemu-utils' },
  });
  const totalBytes = chainBytes(chain) + 1;
  let fetchedBytes = 0;
  await withOpenDisk({ path: partial, format: 'qcow2' }, { writes: true, signal }, async (disk) => {
    if (hidesBase) await zeroRange(disk, 0, disk.sizeBytes);
    for (const stored of chain) {
      const before = fetchedBytes;
      await readSnapshot(context, { store, snapshotId: stored.snapshotId, signal }, () => {
        fetchedBytes = before;
        return fetchInto(context, store, stored, disk, {
          signal,
          onWritten: (bytes) => {
            fetchedBytes += bytes;
            onProgress?.('fetching the disks', Math.floor((fetchedBytes / totalBytes) * 100));
          },
        });
      });
    }
  });
  await finishFile(path, diskMode);
}

async function fetchInto(
  { storage }: AgentContext,
  store: BackupStoreAccess,
  { snapshotId, sha256 }: DiskChain[number],
  disk: NbdClient,
  { signal, onWritten }: { signal: AbortSignal | undefined; onWritten: (bytes: number) => void },
): Promise<void> {
  const { process, ended, heard } = await startRestic(
    store,
    storage.backupsPath,
    ['dump', snapshotId, `/${storedName}`],
    {
      signal,
    },
  );
  const hash = createHash('sha256');
  async function* hashed(): AsyncGenerator<Buffer> {
    for await (const chunk of process.stdout!) {
      hash.update(chunk as Buffer);
      heard();
      yield chunk as Buffer;
    }
    // What ended early because restic failed is not what was stored, and restic says why.
    await ended;
  }
  try {
    await readStream(hashed(), disk, onWritten);
  } catch (error) {
    process.giveUp(error as Error);
    if (error instanceof StreamBroken) throw unusableSnapshot(snapshotId, error.message, error);
    throw error;
  }
  if (hash.digest('hex') !== sha256) throw unusableSnapshot(snapshotId, 'its checksum is another one');
}
