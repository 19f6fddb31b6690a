// What lies in a store beside the disks of a backup: the settings of the instance, and what the backup is, so that a cloud that knows
// nothing of it finds it. It is put there last, so a backup that has it is whole. Owns its name and its shape; keeps nothing.
import {
  type BackupKeeping,
  type BackupSettings,
  type BackupStoreAccess,
  type FinishedBackup,
  StoredBackup,
} from '@virga/contract/agent/backups';
import { conforms } from '@virga/contract/agent/conforms';
import { VirgaError } from '@virga/contract/errors';
import type { BackupId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { listSnapshots, runRestic, type Snapshot, storeStream } from './restic.ts';
import { backupIdOf, tagsOf } from './store-keeping.ts';
import { readSnapshot } from './stored-snapshot.ts';

const storedName = 'settings';

export function storeSettings(
  { storage }: AgentContext,
  { id, cloudId, store }: { id: BackupId; cloudId: string; store: BackupStoreAccess },
  settings: BackupSettings,
  signal: AbortSignal | undefined,
): Promise<{ shortId: string; addedBytes: number }> {
  const tags = tagsOf(cloudId, id, storedName);
  return storeStream(store, storage.backupsPath, oneChunk(JSON.stringify(settings)), {
    name: storedName,
    tags,
    signal,
  });
}

async function* oneChunk(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}

/** @throws BackupUnusable | BackupStoreUnavailable */
export function readStoredSettings(
  context: AgentContext,
  store: BackupStoreAccess,
  snapshotId: string,
  signal: AbortSignal | undefined,
): Promise<BackupSettings> {
  const args = ['dump', snapshotId, `/${storedName}`];
  return readSnapshot(context, { store, snapshotId, signal }, async () => {
    return JSON.parse(await runRestic(store, context.storage.backupsPath, args, { signal })) as BackupSettings;
  });
}

/** Of a backup that rested on others, and has been put together. */
export function standingAlone(
  settings: BackupSettings,
  merged: Pick<FinishedBackup, 'disks' | 'addedBytes'>,
): BackupSettings {
  const { stored } = settings;
  if (stored === undefined) return settings;
  const made = { ...stored.made, ...merged, fullReason: 'synthetic' as const };
  return { ...settings, stored: { ...stored, parentId: null, made } };
}

export const findStoredBackups =
  (context: AgentContext): BackupKeeping['findStoredBackups'] =>
  async (store, known, { signal, onProgress } = {}) => {
    const snapshots = await listSnapshots(store, context.storage.backupsPath, [], { signal });
    const unknown = [...byBackup(snapshots)].filter(([id]) => !known.includes(id));
    const found: StoredBackup[] = [];
    for (const [at, [, parts]] of unknown.entries()) {
      const stored = await readStored(context, store, parts, signal);
      if (stored !== undefined) found.push(stored);
      onProgress?.('looking for backups in the store', ((at + 1) / unknown.length) * 100);
    }
    return { found, incomplete: unknown.length - found.length };
  };

function byBackup(snapshots: readonly Snapshot[]): Map<BackupId, Snapshot[]> {
  const backups = new Map<BackupId, Snapshot[]>();
  for (const snapshot of snapshots) {
    const id = backupIdOf(snapshot.tags);
    if (id !== undefined) backups.set(id, [...(backups.get(id) ?? []), snapshot]);
  }
  return backups;
}

/** Undefined: it is not whole, or does not say what it is. */
async function readStored(
  context: AgentContext,
  store: BackupStoreAccess,
  parts: readonly Snapshot[],
  signal: AbortSignal | undefined,
): Promise<StoredBackup | undefined> {
  // A merge leaves those of before until they are removed.
  const [youngest] = parts
    .filter(({ tags }) => tags?.includes(`part=${storedName}`))
    .sort((one, other) => Date.parse(other.time) - Date.parse(one.time));
  if (youngest === undefined) return undefined;
  const settings = await readStoredSettings(context, store, youngest.id, signal).catch((error) => {
    // One that is damaged keeps nobody from the others.
    if (error instanceof VirgaError && error.code === 'BackupUnusable') return undefined;
    throw error;
  });
  const stored = settings?.stored;
  if (stored === undefined) return undefined;
  const disks = stored.made.disks.map((disk) => ({
    ...disk,
    snapshotId: parts.find(({ id }) => id.startsWith(disk.snapshotId))?.id,
  }));
  const backup = { ...stored, made: { ...stored.made, disks, settingsSnapshotId: youngest.id } };
  return conforms(StoredBackup, backup) ? backup : undefined;
}
