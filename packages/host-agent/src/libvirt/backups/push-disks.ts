// Reads the disks of a domain that runs, all at one moment: QEMU pushes that content, or what has changed since a checkpoint,
// into files of ours while the guest goes on. Owns the job in the domain until it has ended. What is cut short is given up with
// `giveUpPush`, also after a crash.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredBackup, FullReason } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import type { BackupId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import { LibvirtError } from '@virga/libvirt/errors';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { abandonChange, type DiskChange } from '../disks/disk-change.ts';
import { isLibvirtError, tolerate } from '../hypervisor-errors.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { makeDiskFile } from '../pools/disk-files.ts';
import { whileFrozen } from '../snapshots/freeze.ts';
import { whileStill } from '../snapshots/stand-still.ts';
import { requireSpace, reserveBytes } from '../storage.ts';
import { passphrasesOf } from '../volumes/volume-passphrase.ts';
import { childAt, childrenOf, parseXml } from '../xml.ts';
import { untilPushEnded } from './await-push.ts';
import type { BackedUpDisk, DomainDisks } from './backed-up-disks.ts';
import { backupFolder, type ReadDisk } from './backup-folder.ts';
import { backupXml, checkpointXml, type PushedDisk } from './backup-xml.ts';
import { areKept, isInCeph, keepMoments, momentOf } from './ceph-moments.ts';
import { checkpointName, dropCheckpoints, listCheckpoints, removeCheckpoint } from './checkpoints.ts';

/** While there is that little, the guest might have to wait for room; better the backup is given up. */
const bytesPerBlock = 512;

export type Pushed = { disks: ReadDisk[]; fullReason: FullReason | null; frozen: boolean; takenAt: string };
type Begun = Omit<Pushed, 'fullReason'>;

/**
 * Begins to push. When this has answered, the content is that of one moment, whatever the guest writes from now on.
 * @throws StorageFull | Conflict another job of the domain is under way
 */
export async function beginPush(
  context: AgentContext,
  connection: Connection,
  domain: OwnDomain,
  desired: DesiredBackup,
  found: DomainDisks,
): Promise<Pushed> {
  const { ref } = domain;
  const since = desired.parent && checkpointName(desired.parent.id);
  let fullReason = await whyFull(context, connection, ref, desired, found);
  if (fullReason === null && since !== null) {
    const pushed = disksToPush(context, desired, found.disks, since);
    await requireSpace(context.storage, (await changedBytes(connection, ref, since)) + reserveBytes);
    try {
      const begun = await begin(context, connection, domain, desired, found, { pushed, since: desired.parent!.id });
      return { ...begun, fullReason };
    } catch (error) {
      // A job is under way, or libvirt is away: a full one would fare no better.
      if (!(error instanceof LibvirtError) || isLibvirtError(error, 'OPERATION_INVALID', 'OPERATION_TIMEOUT'))
        throw error;
      context.log.warn({ err: error, backup: desired.id }, 'what was recorded of the disks cannot be used');
      fullReason = 'chain-broken';
    }
  }
  // What cannot be gone on with only takes room, and a broken record of one disk hinders a new one.
  if (fullReason !== 'first' && fullReason !== 'asked') await dropCheckpoints(context, ref);
  await requireSpace(context.storage, (await contentBytes(found.disks)) + reserveBytes);
  const pushed = disksToPush(context, desired, found.disks, undefined);
  const begun = await begin(context, connection, domain, desired, found, { pushed, since: undefined });
  return { ...begun, fullReason };
}

/** @param found of a domain that is off, in Ceph alone */
export async function whyFull(
  { storage }: AgentContext,
  connection: Connection,
  ref: DomainRef,
  { parent, full }: DesiredBackup,
  { disks }: DomainDisks,
): Promise<FullReason | null> {
  if (full) return 'asked';
  if (parent === null) return 'first';
  const before = new Map(parent.disks.map(({ id, sizeBytes }) => [id, sizeBytes]));
  const sizes = await Promise.all(
    disks.map(
      async ({ target, ceph }) => ceph?.sizeBytes ?? (await connection.domains.blockInfo(ref, target)).capacityBytes,
    ),
  );
  const isSame = before.size === disks.length && disks.every(({ id }, at) => before.get(id) === sizes[at]);
  if (!isSame) return 'disks-changed';
  const inCeph = disks.filter(isInCeph);
  if (
    !(await areKept(
      storage,
      parent.id,
      inCeph.map(({ id, ceph }) => ({ id, ceph })),
    ))
  )
    return 'chain-broken';
  if (inCeph.length === disks.length) return null;
  if (!disks.some(({ recordsChanges }) => recordsChanges)) return inCeph.length > 0 ? null : 'chain-broken';
  const checkpoints = await listCheckpoints(connection, ref);
  return checkpoints.some(({ name }) => name === checkpointName(parent.id)) ? null : 'chain-broken';
}

function disksToPush(
  context: AgentContext,
  { id }: DesiredBackup,
  disks: readonly BackedUpDisk[],
  since: string | undefined,
): PushedDisk[] {
  return disks
    .filter((disk) => !isInCeph(disk))
    .map(({ target, recordsChanges, encryption }) => ({
      ...(encryption && { encryption }),
      target,
      path: join(backupFolder(context.storage, id), `${target}.qcow2`),
      since: recordsChanges ? since : undefined,
      recordsChanges,
    }));
}

async function begin(
  context: AgentContext,
  { domains }: Connection,
  domain: OwnDomain,
  desired: DesiredBackup,
  { disks, others }: DomainDisks,
  { pushed, since }: { pushed: readonly PushedDisk[]; since: BackupId | undefined },
): Promise<Begun> {
  const { id, instance, freezes } = desired;
  const { ref } = domain;
  const inCeph = disks.filter(isInCeph);
  const unpushed = [...others, ...inCeph.map(({ target }) => target)];
  await context.hook('backup-read', id);
  // Made by QEMU, a guest would stand still for as long as the header of an encrypted file takes.
  const reuseExternal = pushed.some(({ encryption }) => encryption !== undefined);
  if (reuseExternal) await makeTargets(context, domains, ref, { disks, pushed });
  const take = async () => {
    if (pushed.length > 0) {
      const checkpoint = checkpointXml(checkpointName(id), pushed, unpushed);
      await domains.backupBegin(ref, backupXml(pushed, unpushed), {
        reuseExternal,
        ...(checkpoint !== undefined && { checkpointXml: checkpoint }),
      });
      await limitPush(context, domains, ref, desired, pushed);
    }
    await keepMoments(context.storage, id, inCeph);
    await context.hook('backup-begun', id);
  };
  // What no one call takes together.
  const work = inCeph.length > 0 && disks.length > 1 ? () => whileStillToRead(context, domain, take) : take;
  const frozen = freezes && (await whileFrozen(context, instance.id, work));
  if (!freezes) await work();
  const files = new Map(pushed.map((disk) => [disk.target, disk]));
  return {
    frozen,
    takenAt: new Date(context.clock.now()).toISOString(),
    disks: disks.map((disk) => {
      if (isInCeph(disk)) return momentOf(disk, since);
      const { path, since: base, encryption } = files.get(disk.target)!;
      const { id: diskId, role, target } = disk;
      return {
        id: diskId,
        role,
        target,
        file: { path, format: 'qcow2', ...(encryption && { encryptedOn: [] }) },
        changes: base !== undefined,
      };
    }),
  };
}

/** What is read of an encrypted disk is encrypted too, with the same key. */
async function makeTargets(
  context: AgentContext,
  domains: Connection['domains'],
  ref: DomainRef,
  { disks, pushed }: { disks: readonly BackedUpDisk[]; pushed: readonly PushedDisk[] },
): Promise<void> {
  const keys = await passphrasesOf(context, disks);
  for (const { target, path, encryption } of pushed) {
    const { id } = disks.find((disk) => disk.target === target)!;
    const { capacityBytes: sizeBytes } = await domains.blockInfo(ref, target);
    const passphrase = encryption && keys.get(id);
    await makeDiskFile(path, { format: 'qcow2', sizeBytes, preallocation: 'off', passphrase }, {});
  }
}

/** The guest stands still while its disks are taken, so that all are of one moment. Where that fails, who gives up lets it go on. */
async function whileStillToRead(context: AgentContext, domain: OwnDomain, take: () => Promise<void>): Promise<void> {
  const change: DiskChange = { kind: 'read', disks: [] };
  await whileStill(context, domain, change, take);
  await abandonChange(context, domain.record.instanceId, change);
}

/** What is read of the guest's disks is as slow as what goes to the store; both are work for the same host. */
async function limitPush(
  { log }: AgentContext,
  domains: Connection['domains'],
  ref: DomainRef,
  { store: { limitBytesPerSecond: limit } }: DesiredBackup,
  pushed: readonly PushedDisk[],
): Promise<void> {
  if (limit === null) return;
  const share = Math.max(1, Math.floor(limit / pushed.length));
  for (const { target } of pushed) {
    await domains.setBlockJobSpeed(ref, target, share).catch((error) => {
      // One that has so little in it that it has been read already has no job any more, or one that takes no command.
      if (!(error instanceof LibvirtError)) throw error;
      log.info({ err: error, domain: ref.name, target }, 'the reading of a disk could not be limited');
    });
  }
}

/** Gives a backup of the domain up that is under way, if it is this one, and what is recorded since. Idempotent. */
export async function giveUpPush(
  context: AgentContext,
  connection: Connection,
  ref: DomainRef,
  { id }: Pick<DesiredBackup, 'id'>,
): Promise<void> {
  const { domains } = connection;
  if (await domains.isActive(ref)) {
    const xml = await domains.backupXml(ref).catch((error) => {
      if (isLibvirtError(error, 'NO_DOMAIN_BACKUP', 'OPERATION_INVALID', 'NO_DOMAIN')) return '';
      throw error;
    });
    if (xml.includes(backupFolder(context.storage, id))) {
      await tolerate(domains.abortJob(ref), 'OPERATION_INVALID');
      await untilPushEnded(connection, ref);
    }
  }
  const name = checkpointName(id);
  for (const checkpoint of await listCheckpoints(connection, ref)) {
    if (checkpoint.name === name) await removeCheckpoint(context, connection, checkpoint);
  }
}

/** What the disks take on the host: more than that no full backup reads. */
async function contentBytes(disks: readonly BackedUpDisk[]): Promise<number> {
  const sizes = await Promise.all(
    disks.flatMap(({ files }) => files.map(async (file) => (await stat(file)).blocks * bytesPerBlock)),
  );
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}

/** What has been recorded since a checkpoint, of all disks. */
async function changedBytes({ domains }: Connection, ref: DomainRef, name: string): Promise<number> {
  try {
    const checkpoint = await domains.checkpointLookupByName(ref, name);
    const xml = parseXml(await domains.checkpointXml(checkpoint, { size: true, noDomain: true }));
    return childrenOf(childAt(xml, 'disks'), 'disk').reduce((sum, disk) => sum + Number(disk.attributes.size ?? 0), 0);
  } catch (error) {
    // The backup itself will tell what is wrong with it.
    if (error instanceof LibvirtError) return 0;
    throw error;
  }
}

export const noDomain = (domainName: string) =>
  new VirgaError('NotFound', {
    detail: `There is no domain ${domainName} on the host.`,
    action: 'Look at the state of the instance: virga show.',
  });
