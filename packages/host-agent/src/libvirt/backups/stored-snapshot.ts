// Reading a snapshot of a store: whether the store is away, which is waited for, or what is in it cannot be read, which no waiting
// mends. restic says only in words which it is, so the store is asked once more.
import type { BackupStoreAccess } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import type { AgentContext } from '../agent-context.ts';
import { listSnapshots } from './restic.ts';

type Of = { store: BackupStoreAccess; snapshotId: string; signal: AbortSignal | undefined };

/** @param read may be done twice @throws BackupUnusable | BackupStoreUnavailable */
export async function readSnapshot<T>(
  { storage }: AgentContext,
  { store, snapshotId, signal }: Of,
  read: () => Promise<T>,
): Promise<T> {
  for (let isSecond = false; ; isSecond = true) {
    try {
      return await read();
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof SyntaxError) throw unusableSnapshot(snapshotId, 'it is cut off', error);
      if (!(error instanceof VirgaError) || error.code !== 'BackupStoreUnavailable') throw error;
      const there = await listSnapshots(store, storage.backupsPath, [], { signal });
      if (!there.some(({ id }) => id === snapshotId)) throw unusableSnapshot(snapshotId, 'it is gone', error);
      if (isSecond) throw unusableSnapshot(snapshotId, 'the store has it, and cannot give it', error);
    }
  }
}

export const unusableSnapshot = (snapshotId: string, why: string, cause?: unknown) =>
  new VirgaError('BackupUnusable', {
    detail: `What is in the store as ${snapshotId.slice(0, 8)} is not what was put there: ${why}.`,
    action: 'Restore another backup, and make a full one into another store.',
    cause,
  });
