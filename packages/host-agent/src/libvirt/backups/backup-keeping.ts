// The part of the libvirt agent that makes and restores backups, put together from one file a theme; what fetches from a store is
// here, because it is little more than that.
import { join } from 'node:path';
import type { BackupKeeping } from '@virga/contract/agent/backups';
import type { AgentContext } from '../agent-context.ts';
import { machineFilesIn } from '../instances/machine-files.ts';
import { requireSpace, reserveBytes, storageError } from '../storage.ts';
import { backupFolder, readState, removeReadDisks, writeState } from './backup-folder.ts';
import { chainBytes, fetchDisk } from './fetch-disk.ts';
import { endBackup, makeBackup } from './make-backup.ts';
import { wholeIds } from './restic.ts';
import { fetchedDisk, fetchedMachine, openRestoreFolder, removeRestoreFolder, writeMachine } from './restore-folder.ts';
import { readRestoredPath } from './restored-path.ts';
import { storeDisk } from './store-disk.ts';
import { storeKeeping, tagsOf } from './store-keeping.ts';
import { findStoredBackups, readStoredSettings, standingAlone, storeSettings } from './stored-settings.ts';
import { endSwapsInCeph } from './swap-ceph-disk.ts';
import { checkSwap, swapDisks, swapDisksBack } from './swap-disks.ts';

export function backupKeeping(context: AgentContext): BackupKeeping {
  const { storage } = context;
  return {
    ...storeKeeping(context),
    makeBackup: (desired, call = {}) => makeBackup(context, desired, call),
    endBackup: endBackup(context),
    mergeBackup: mergeBackup(context),
    fetchRestore: fetchRestore(context),
    checkSwap: (restore) => checkSwap(context, restore),
    swapDisks: (restore, call) => swapDisks(context, restore, call),
    swapDisksBack: (restore) => swapDisksBack(context, restore),
    endRestore: ({ id, cloudId }) =>
      context.locks.run(id, async () => {
        await context.hook('restore-end', id);
        await endSwapsInCeph(storage, id);
        await removeRestoreFolder(storage, id, cloudId);
      }),
    readRestoredPath: readRestoredPath(context),
    readBackupSettings: (store, snapshotId, { signal } = {}) => readStoredSettings(context, store, snapshotId, signal),
    findStoredBackups: findStoredBackups(context),
  };
}

function fetchRestore(context: AgentContext): BackupKeeping['fetchRestore'] {
  const { storage, hook } = context;
  return ({ id, cloudId, store, disks, settingsSnapshotId, hidesBase }, { signal, onProgress } = {}) =>
    context.locks.run(id, async () => {
      const neededBytes = disks.reduce((sum, { chain }) => sum + chainBytes(chain), 0);
      try {
        await requireSpace(storage, neededBytes + reserveBytes);
        await hook('restore-folder', id);
        await openRestoreFolder(storage, id, cloudId);
        if (settingsSnapshotId !== undefined) {
          const { files } = await readStoredSettings(context, store, settingsSnapshotId, signal);
          await writeMachine(fetchedMachine(storage, id), machineFilesIn(files));
        }
        for (const [at, disk] of disks.entries()) {
          await hook('restore-fetch', id);
          await fetchDisk(
            context,
            { store, path: fetchedDisk(storage, id, disk.id), chain: disk.chain, hidesBase },
            {
              signal,
              onProgress: (message, percent) => onProgress?.(message, ((at + percent / 100) / disks.length) * 100),
            },
          );
        }
      } catch (error) {
        throw storageError(error, storage, 'keep restored disks');
      }
    });
}

function mergeBackup(context: AgentContext): BackupKeeping['mergeBackup'] {
  const { storage, hook } = context;
  return ({ id, cloudId, store, settingsSnapshotId, disks }, { signal, onProgress } = {}) =>
    context.locks.run(id, async () => {
      const part = { instanceId: 'i-' as const, cloudId, phase: 'reading' as const, stored: [], addedBytes: 0 };
      const stored: Omit<Awaited<ReturnType<BackupKeeping['mergeBackup']>>, 'settingsSnapshotId'> = {
        ...{ disks: [], addedBytes: 0 },
      };
      try {
        await requireSpace(storage, Math.max(...disks.map(({ chain }) => chainBytes(chain))) + reserveBytes);
        if ((await readState(storage, id)) === undefined) await writeState(storage, id, part);
        for (const [at, { chain, ...disk }] of disks.entries()) {
          const path = join(backupFolder(storage, id), `${disk.id}.qcow2`);
          const progress = (from: number) => (message: string, percent: number) =>
            onProgress?.(message, ((at + from + percent / 200) / disks.length) * 100);
          await hook('merge-fetch', id);
          await fetchDisk(context, { store, path, chain, hidesBase: false }, { signal, onProgress: progress(0) });
          await hook('merge-store', id);
          const file = { path, format: 'qcow2' as const };
          const merged = await storeDisk(
            context,
            { id, cloudId, store },
            { id: disk.id, role: disk.role, file, changes: false },
            { signal, onProgress: progress(0.5) },
          );
          stored.disks.push(merged.disk);
          stored.addedBytes += merged.addedBytes;
          await removeReadDisks(storage, id);
        }
        const settings = await readStoredSettings(context, store, settingsSnapshotId, signal);
        const { shortId } = await storeSettings(
          context,
          { id, cloudId, store },
          standingAlone(settings, stored),
          signal,
        );
        const shortIds = [shortId, ...stored.disks.map(({ snapshotId }) => snapshotId)];
        const [settingsId, ...ids] = await wholeIds(store, storage.backupsPath, tagsOf(cloudId, id), shortIds, {
          signal,
        });
        const whole = stored.disks.map((disk, at) => ({ ...disk, snapshotId: ids[at]! }));
        return { ...stored, disks: whole, settingsSnapshotId: settingsId! };
      } catch (error) {
        throw storageError(error, storage, 'merge a backup');
      }
    });
}
