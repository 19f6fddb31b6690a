// Makes a backup of an instance: its disks are read, all at one moment, and then put into the store. Owns the order, and what is
// kept of it on the host between the two, so that a store that is away costs a retry and not another reading of the disks.
import { rm } from 'node:fs/promises';
import type { CallContext } from '@virga/contract/agent/agent';
import type { BackupKeeping, BackupSettings, DesiredBackup, FinishedBackup } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import { beingMoved } from '../../move-conflicts.ts';
import { CommandFailed, runCommand } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';
import { settleChange } from '../disks/disk-change.ts';
import { findByUuid, lookAt, type OwnDomain } from '../instances/domain-lookup.ts';
import { isOff } from '../instances/power.ts';
import { readMove } from '../moves/move-record.ts';
import { storageError } from '../storage.ts';
import { awaitPush } from './await-push.ts';
import { type DomainDisks, readDomainDisks, withKeysOf } from './backed-up-disks.ts';
import {
  type BackupState,
  backupFolder,
  type ReadDisk,
  readState,
  removeBackupFolder,
  removeReadDisks,
  type TakenBackup,
  writeState,
} from './backup-folder.ts';
import { readSettings } from './backup-settings.ts';
import { areKept, findInCeph, forgetMomentsOf, isInCeph, keepMoments, momentOf, underWay } from './ceph-moments.ts';
import { checkpointName, listCheckpoints, removeCheckpoint } from './checkpoints.ts';
import { beginPush, giveUpPush, noDomain, whyFull } from './push-disks.ts';
import { wholeIds } from './restic.ts';
import { storeDisk } from './store-disk.ts';
import { exclusively, tagsOf, unlockStale } from './store-keeping.ts';
import { storeSettings } from './stored-settings.ts';

/** Reading the disks, and then storing them. */
const readShare = 40;

export function makeBackup(context: AgentContext, desired: DesiredBackup, call: CallContext): Promise<FinishedBackup> {
  return context.locks.run(jobKey(desired.instance), async () => {
    const { storage, log } = context;
    try {
      const before = await readState(storage, desired.id);
      if (before?.result !== undefined) return before.result;
      // What hindered the call before may be the lock of a restic that is no more.
      const isAgain = before?.phase === 'read' && (await areKept(storage, desired.id, before.taken?.disks ?? []));
      if (isAgain) await exclusively(context, desired.store, () => unlockStale(context, desired.store, call.signal));
      const state = isAgain ? before : await readDisks(context, desired, call);
      return await storeDisks(context, desired, state, call);
    } catch (error) {
      log.info({ err: error, backup: desired.id }, 'a backup was cut short');
      throw error instanceof CommandFailed ? error : storageError(error, storage, 'keep what is read of disks');
    }
  });
}

/** One backup of an instance at a time. */
const jobKey = ({ id }: { id: string }): string => `backup of ${id}`;

async function readDisks(context: AgentContext, desired: DesiredBackup, call: CallContext): Promise<BackupState> {
  const { storage } = context;
  const { id, cloudId, instance } = desired;
  const share = { ...call, onProgress: part(call.onProgress, 0, readShare) };
  await giveUpReading(context, desired);
  const fresh: BackupState = { cloudId, instanceId: instance.id, phase: 'reading', stored: [], addedBytes: 0 };
  await writeState(storage, id, fresh);
  const { taken, ref } = await context.locks.run(instance.id, () =>
    context.hypervisor.act(`back up ${instance.domainName}`, (connection) => take(context, connection, desired)),
  );
  if (ref !== undefined) {
    try {
      await awaitPush(context, ref, share);
    } catch (error) {
      await giveUpReading(context, desired);
      throw error;
    }
  }
  await context.hook('backup-pushed', id);
  await Promise.all(
    // What is encrypted was made to rest on nothing.
    taken.disks.map(({ changes, file }) => changes && file && !file.encryptedOn && standAlone(file.path)),
  );
  const state: BackupState = { ...fresh, phase: 'read', taken };
  await writeState(storage, id, state);
  return state;
}

/** What has changed is pushed into a file that rests on the disk, which the guest goes on writing to. */
async function standAlone(path: string): Promise<void> {
  await runCommand('qemu-img', ['rebase', '-u', '-f', 'qcow2', '-b', '', path], { package: 'qemu-utils' });
}

/** @returns what is read; of a domain that runs, while it is being read */
async function take(
  context: AgentContext,
  connection: Connection,
  desired: DesiredBackup,
): Promise<{ taken: TakenBackup; ref?: OwnDomain['ref'] }> {
  const domain = await requireOwn(connection, desired);
  const { desired: of } = domain.record;
  if (of.origin === 'adopted') throw adopted(domain.ref.name);
  await refuseMoves(context, of.volumes);
  const isRunning = !isOff(domain);
  const xml = await connection.domains.xml(domain.ref, { inactive: !isRunning });
  const shown = await withKeysOf(context, readDomainDisks(xml, of, desired.leavesOut));
  const found = await findInCeph(context.storage, of, shown);
  const settings = JSON.stringify(await readSettings(context, connection, domain));
  await forgetOthers(context, connection, domain.ref, desired, found);
  if (isRunning) {
    const { disks, ...pushed } = await beginPush(context, connection, domain, desired, found);
    const isPushed = disks.some(({ file }) => file !== undefined);
    return { taken: { ...pushed, disks, settings }, ...(isPushed && { ref: domain.ref }) };
  }
  const opaque = found.disks.find(({ isOpaque }) => isOpaque);
  if (opaque !== undefined) throw cannotOpen(domain.ref.name, opaque.id);
  const takenAt = new Date(context.clock.now()).toISOString();
  // Ceph knows what has changed also of what is off; nothing else does.
  const isAllKept = found.disks.every(isInCeph);
  const fullReason = isAllKept ? await whyFull(context, connection, domain.ref, desired, found) : 'off';
  const since = fullReason === null ? desired.parent?.id : undefined;
  await context.hook('backup-read', desired.id);
  await keepMoments(context.storage, desired.id, found.disks.filter(isInCeph));
  const disks = found.disks.map((disk): ReadDisk => {
    if (isInCeph(disk)) return momentOf(disk, since);
    const { id, role, target, file } = disk;
    return { id, role, target, file, changes: false };
  });
  return { taken: { takenAt, frozen: false, fullReason, disks, settings } };
}

/** What would be recorded of changes is of no use in another place. */
async function refuseMoves({ storage }: AgentContext, volumes: readonly { id: VolumeId }[]): Promise<void> {
  for (const { id } of volumes) {
    const move = await readMove(storage, id);
    if (move !== undefined) throw beingMoved(move.before);
  }
}

/** What is recorded since backups that nobody needs any more. */
async function forgetOthers(
  context: AgentContext,
  connection: Connection,
  ref: OwnDomain['ref'],
  { kept }: DesiredBackup,
  found: DomainDisks,
): Promise<void> {
  const names = new Set(kept.map(checkpointName));
  const begun = await underWay(context.storage);
  await forgetMomentsOf(context, found, (id) => !kept.includes(id) && !begun.has(id));
  for (const checkpoint of await listCheckpoints(connection, ref)) {
    if (!names.has(checkpoint.name)) await removeCheckpoint(context, connection, checkpoint);
  }
}

async function storeDisks(
  context: AgentContext,
  desired: DesiredBackup,
  before: BackupState,
  call: CallContext,
): Promise<FinishedBackup> {
  const taken = before.taken!;
  // Nobody may start what is read in place.
  if (taken.fullReason !== 'off') return store(context, desired, before, taken, call);
  return context.locks.run(desired.instance.id, async () => {
    await context.hypervisor.ask(`look at ${desired.instance.domainName}`, async (connection) => {
      if (isOff(await requireOwn(connection, desired))) return;
      await removeBackupFolder(context.storage, desired.id);
      throw new VirgaError('HostUnavailable', {
        detail: `${desired.instance.domainName} was started while it was backed up.`,
        action: 'Nothing: it is backed up from the beginning, as it runs.',
      });
    });
    return store(context, desired, before, taken, call);
  });
}

async function store(
  context: AgentContext,
  desired: DesiredBackup,
  before: BackupState,
  taken: TakenBackup,
  { signal, onProgress }: CallContext,
): Promise<FinishedBackup> {
  const { storage } = context;
  const { id } = desired;
  let state = before;
  for (const [at, disk] of taken.disks.entries()) {
    if (state.stored.some((stored) => stored.id === disk.id)) continue;
    const share = (100 - readShare) / taken.disks.length;
    const progress = part(onProgress, readShare + share * at, readShare + share * (at + 1));
    await context.hook('backup-store', id);
    const stored = await storeDisk(context, desired, disk, { signal, onProgress: progress });
    state = {
      ...state,
      stored: [...state.stored, stored.disk],
      addedBytes: state.addedBytes + stored.addedBytes,
    };
    await writeState(storage, id, state);
    // It is in the store now; the room may be needed for the next one.
    if (disk.file?.path.startsWith(backupFolder(storage, id))) await rm(disk.file.path, { force: true });
  }
  await context.hook('backup-settings', id);
  const { fullReason, frozen, takenAt } = taken;
  const made = { id, fullReason, frozen, takenAt, disks: state.stored, addedBytes: state.addedBytes };
  const parentId = fullReason === null ? (desired.parent?.id ?? null) : null;
  const { cloudId, keepsake } = desired;
  const settings = await storeSettings(
    context,
    desired,
    { ...(JSON.parse(taken.settings) as BackupSettings), stored: { cloudId, parentId, keepsake, made } },
    signal,
  );
  const shortIds = [settings.shortId, ...state.stored.map(({ snapshotId }) => snapshotId)];
  const tags = tagsOf(desired.cloudId, id);
  const [settingsSnapshotId, ...ids] = await wholeIds(desired.store, storage.backupsPath, tags, shortIds, { signal });
  const result: FinishedBackup = {
    ...made,
    disks: state.stored.map((disk, at) => ({ ...disk, snapshotId: ids[at]! })),
    settingsSnapshotId: settingsSnapshotId!,
  };
  await context.hook('backup-done', id);
  const { taken: _, ...rest } = state;
  await writeState(storage, id, { ...rest, phase: 'stored', result });
  await removeReadDisks(storage, id);
  onProgress?.('the backup is in the store', 100);
  return result;
}

export const endBackup =
  (context: AgentContext): BackupKeeping['endBackup'] =>
  (backup) =>
    context.locks.run(jobKey(backup.instance), async () => {
      const state = await readState(context.storage, backup.id);
      if (state !== undefined && state.cloudId !== backup.cloudId) return;
      if (!backup.made) await giveUpPushOf(context, backup);
      // What is read of one that is off is recorded of no other disk.
      else if ((state?.result ?? state?.taken)?.fullReason === 'off') await forgetMomentOf(context, backup);
      await context.hook('backup-end', backup.id);
      await removeBackupFolder(context.storage, backup.id);
    });

/** What an earlier call, or a crash, left of reading the disks. */
async function giveUpReading(context: AgentContext, desired: DesiredBackup): Promise<void> {
  await giveUpPushOf(context, desired);
  await removeBackupFolder(context.storage, desired.id);
}

async function giveUpPushOf(
  context: AgentContext,
  backup: Pick<DesiredBackup, 'id' | 'cloudId'> & { instance: Pick<DesiredBackup['instance'], 'id' | 'uuid'> },
): Promise<void> {
  const { id, instance } = backup;
  await context.hypervisor.act('give a backup up', async (connection) => {
    const ref = await findByUuid(connection, instance.uuid);
    if (ref === undefined) return;
    // A crash may have left it standing still.
    await context.locks.run(instance.id, () => settleChange(context, instance.id, ref));
    await giveUpPush(context, connection, ref, { id });
  });
  await forgetMomentOf(context, backup);
}

/** What Ceph keeps of disks for a backup. */
async function forgetMomentOf(
  context: AgentContext,
  { id, cloudId, instance }: Pick<DesiredBackup, 'id' | 'cloudId'> & { instance: { uuid: string } },
): Promise<void> {
  await context.hypervisor.ask('look for what is kept of a backup', async (connection) => {
    const domain = await lookAt(connection, instance.uuid);
    if (domain?.record?.cloudId !== cloudId) return;
    const { desired } = domain.record;
    const found = readDomainDisks(await connection.domains.xml(domain.ref, { inactive: true }), desired, []);
    try {
      await forgetMomentsOf(context, await findInCeph(context.storage, desired, found), (other) => other === id);
    } catch (error) {
      // A disk that is gone from Ceph has none, and what others have goes with the next backup.
      if (!(error instanceof VirgaError && error.code === 'HypervisorRefused')) throw error;
      context.log.warn({ err: error, backup: id }, 'what Ceph keeps of a backup was left there');
    }
  });
}

async function requireOwn(connection: Connection, { cloudId, instance }: DesiredBackup): Promise<OwnDomain> {
  const domain = await lookAt(connection, instance.uuid);
  if (domain?.record?.cloudId !== cloudId) throw noDomain(instance.domainName);
  return domain as OwnDomain;
}

function part(onProgress: CallContext['onProgress'], from: number, to: number): CallContext['onProgress'] {
  return onProgress && ((message, percent) => onProgress(message, from + (percent / 100) * (to - from)));
}

const adopted = (name: string) =>
  new VirgaError('Conflict', {
    detail: `The domain ${name} was adopted: its disks are not Virga's, and are not backed up.`,
    action: 'Back it up as before it was adopted, or move its data to an instance that was launched.',
  });

const cannotOpen = (name: string, id: string) =>
  new VirgaError('Conflict', {
    detail: `The disk ${id} of ${name} can only be read while the instance runs: it is on another machine, or encrypted by others.`,
    action: 'Start the instance, and back it up as it runs.',
  });
