// A store as a whole: made, looked through, cleaned, checked. Owns no file of the host but restic's memory of stores. A lock that
// a killed restic left is removed before each work; one of a restic that runs stays, and is waited for.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BackupKeeping, BackupStoreAccess } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import { type BackupId, isId } from '@virga/contract/ids';
import { exists } from '../../exists.ts';
import type { AgentContext } from '../agent-context.ts';
import { listSnapshots, runRestic } from './restic.ts';

type StoreKeeping = Pick<
  BackupKeeping,
  'openBackupStore' | 'listStoreSnapshots' | 'removeStoreSnapshots' | 'checkBackupStore'
>;

/** What goes through all of a store may say nothing for as long. */
const wholeMs = 24 * 3_600_000;
/** How long others may have it. */
const othersMs = 30 * 60_000;
const othersPollMs = 1_000;
const refusedMs = 60_000;

const backupTag = 'backup=';

/** Tags of the snapshots of a backup. @param part which part of it, such as the id of a disk; default all */
export const tagsOf = (cloudId: string, backupId: BackupId, part?: string): string[] => [
  `cloud=${cloudId}`,
  `${backupTag}${backupId}`,
  ...(part === undefined ? [] : [`part=${part}`]),
];

export const storeKeeping = (context: AgentContext): StoreKeeping => ({
  openBackupStore: (store, { signal } = {}) => exclusively(context, store, () => openStore(context, store, signal)),
  listStoreSnapshots: async (store, { signal } = {}) => {
    const found = await listSnapshots(store, context.storage.backupsPath, [`cloud=${store.cloudId}`], { signal });
    return found.map(({ id, time, tags }) => ({ id, at: time, backupId: backupIdOf(tags) }));
  },
  removeStoreSnapshots: (store, ids, { signal } = {}) =>
    exclusively(context, store, async () => {
      const { backupsPath } = context.storage;
      await awaitOthers(context, store, signal);
      const present = new Set((await listSnapshots(store, backupsPath, [], { signal })).map(({ id }) => id));
      const left = ids.filter((id) => present.has(id));
      await context.hook('backup-forget', store.id);
      if (left.length > 0) await runRestic(store, backupsPath, ['forget', '--quiet', ...left], { signal });
      await context.hook('backup-prune', store.id);
      await runRestic(store, backupsPath, ['prune', '--quiet'], { signal, patienceMs: wholeMs });
    }),
  checkBackupStore: (store, { readPercent }, { signal } = {}) =>
    exclusively(context, store, () => checkStore(context, store, readPercent, signal)),
});

/** One at a time on this host: who removes data must have the store to itself, and restic does not wait. */
export const exclusively = <T>(context: AgentContext, { id }: BackupStoreAccess, work: () => Promise<T>): Promise<T> =>
  context.locks.run(id, work);

/** Of a restic that is no more; also of another host, after half an hour. */
export async function unlockStale(
  { storage }: AgentContext,
  store: BackupStoreAccess,
  signal: AbortSignal | undefined,
): Promise<void> {
  await runRestic(store, storage.backupsPath, ['unlock', '--quiet'], { signal });
}

/** Who has the store to himself waits until backups into it, also of other hosts and clouds, have ended. */
async function awaitOthers(
  context: AgentContext,
  store: BackupStoreAccess,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { backupsPath } = context.storage;
  const deadline = performance.now() + othersMs;
  for (let pollMs = 0; ; pollMs = othersPollMs) {
    await sleep(pollMs, undefined, { signal });
    if ((await runRestic(store, backupsPath, ['list', 'locks', '--quiet'], { signal })).trim() === '') return;
    if (performance.now() > deadline) break;
    await unlockStale(context, store, signal);
  }
  throw new VirgaError('BackupStoreUnavailable', {
    detail: `Others work with the backup store, and have for ${othersMs / 60_000} minutes.`,
    action: 'Nothing, if backups into it are being made: it is tried again. Else see restic list locks.',
  });
}

async function openStore(
  context: AgentContext,
  store: BackupStoreAccess,
  signal: AbortSignal | undefined,
): Promise<{ created: boolean }> {
  const { backupsPath } = context.storage;
  try {
    await runRestic(store, backupsPath, ['cat', 'config'], { signal });
    return { created: false };
  } catch (error) {
    if (!(error instanceof VirgaError) || error.code !== 'BackupStoreUnavailable') throw error;
    // What is there is not written over, whatever it is.
    if (store.place.kind === 'directory' && (await exists(join(store.place.path, 'config')))) throw error;
    await context.hook('backup-init', store.id);
    // That one is there already is not what keeps it from being opened.
    await runRestic(store, backupsPath, ['init', '--repository-version', '2'], { signal }).catch((failure) => {
      throw store.place.kind === 's3' ? error : failure;
    });
    return { created: true };
  }
}

async function checkStore(
  context: AgentContext,
  store: BackupStoreAccess,
  readPercent: number,
  signal: AbortSignal | undefined,
): Promise<{ snapshots: number; sizeBytes: number }> {
  const { backupsPath } = context.storage;
  await awaitOthers(context, store, signal);
  const snapshots = await listSnapshots(store, backupsPath, [], { signal });
  const reading = readPercent === 0 ? [] : [`--read-data-subset=${readPercent}%`];
  for (let isSecond = false; ; isSecond = true) {
    const began = performance.now();
    try {
      await runRestic(store, backupsPath, ['check', ...reading], { signal, patienceMs: wholeMs });
      break;
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof VirgaError) || error.code !== 'BackupStoreUnavailable') throw error;
      // Somebody who has begun to work with it meanwhile is reason enough for restic, and at once.
      const isWhole = isSecond || performance.now() - began > refusedMs;
      if (isWhole) throw damaged(error);
      await awaitOthers(context, store, signal);
    }
  }
  const stats = await runRestic(store, backupsPath, ['stats', '--json', '--mode', 'raw-data'], { signal });
  const { total_size: sizeBytes } = JSON.parse(stats) as { total_size: number };
  return { snapshots: snapshots.length, sizeBytes };
}

const damaged = (cause: VirgaError) =>
  new VirgaError('BackupUnusable', {
    detail: `The backup store is damaged: ${cause.detail}`,
    action:
      'Make full backups into another store, and test those in this one to know which are hurt: virga backups verify --no-boot.',
    cause,
  });

export function backupIdOf(tags: readonly string[] = []): BackupId | undefined {
  const id = tags.find((tag) => tag.startsWith(backupTag))?.slice(backupTag.length) ?? '';
  return isId('backup', id) ? id : undefined;
}
