// Reads the disks of a domain that runs, all at one moment: QEMU pushes that content, or what has changed since a checkpoint,
// into files of ours while the guest goes on. Owns the job in the domain until it has ended. What is cut short is given up with
// `giveUpPush`, also after a crash.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredBackup, FullReason } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import type { Connection } from '@virga/libvirt/connection/connect';
import { LibvirtError } from '@virga/libvirt/errors';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError, tolerate } from '../hypervisor-errors.ts';
import { whileFrozen } from '../snapshots/freeze.ts';
import { requireSpace, reserveBytes } from '../storage.ts';
import { childAt, childrenOf, parseXml } from '../xml.ts';
import { untilPushEnded } from './await-push.ts';
import type { BackedUpDisk, DomainDisks } from './backed-up-disks.ts';
import { backupFolder, type ReadDisk } from './backup-folder.ts';
import { backupXml, checkpointXml, type PushedDisk } from './backup-xml.ts';
import { checkpointName, dropCheckpoints, listCheckpoints, removeCheckpoint } from './checkpoints.ts';

/** While there is that little, the guest might have to wait for room; better the backup is given up. */
const bytesPerBlock = 512;

export type Pushed = { disks: ReadDisk[]; fullReason: FullReason | null; frozen: boolean; takenAt: string };

/**
 * Begins to push. When this has answered, the content is that of one moment, whatever the guest writes from now on.
 * @throws StorageFull | Conflict another job of the domain is under way
 */
export async function beginPush(
  context: AgentContext,
  connection: Connection,
  ref: DomainRef,
  desired: DesiredBackup,
  found: DomainDisks,
): Promise<Pushed> {
  const since = desired.parent && checkpointName(desired.parent.id);
  let fullReason = await whyFull(connection, ref, desired, found);
  if (fullReason === null && since !== null) {
    const pushed = disksToPush(context, desired, found.disks, since);
    await requireSpace(context.storage, (await changedBytes(connection, ref, since)) + reserveBytes);
    try {
      return { ...(await begin(context, connection, ref, desired, found, pushed)), fullReason };
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
  return { ...(await begin(context, connection, ref, desired, found, pushed)), fullReason };
}

async function whyFull(
  connection: Connection,
  ref: DomainRef,
  { parent, full }: DesiredBackup,
  { disks }: DomainDisks,
): Promise<FullReason | null> {
  if (full) return 'asked';
  if (parent === null) return 'first';
  const before = new Map(parent.disks.map(({ id, sizeBytes }) => [id, sizeBytes]));
  const sizes = await Promise.all(
    disks.map(async ({ target }) => (await connection.domains.blockInfo(ref, target)).capacityBytes),
  );
  const isSame = before.size === disks.length && disks.every(({ id }, at) => before.get(id) === sizes[at]);
  if (!isSame) return 'disks-changed';
  if (!disks.some(({ recordsChanges }) => recordsChanges)) return 'chain-broken';
  const checkpoints = await listCheckpoints(connection, ref);
  return checkpoints.some(({ name }) => name === checkpointName(parent.id)) ? null : 'chain-broken';
}

function disksToPush(
  context: AgentContext,
  { id }: DesiredBackup,
  disks: readonly BackedUpDisk[],
  since: string | undefined,
): PushedDisk[] {
  return disks.map(({ target, recordsChanges }) => ({
    target,
    path: join(backupFolder(context.storage, id), `${target}.qcow2`),
    since: recordsChanges ? since : undefined,
    recordsChanges,
  }));
}

async function begin(
  context: AgentContext,
  { domains }: Connection,
  ref: DomainRef,
  desired: DesiredBackup,
  { disks, others }: DomainDisks,
  pushed: readonly PushedDisk[],
): Promise<Omit<Pushed, 'fullReason'>> {
  const { id, instance, freezes } = desired;
  await context.hook('backup-read', id);
  const work = async () => {
    const checkpoint = checkpointXml(checkpointName(id), pushed, others);
    await domains.backupBegin(ref, backupXml(pushed, others), {
      ...(checkpoint !== undefined && { checkpointXml: checkpoint }),
    });
    await limitPush(context, domains, ref, desired, pushed);
    await context.hook('backup-begun', id);
  };
  const frozen = freezes && (await whileFrozen(context, instance.id, work));
  if (!freezes) await work();
  return {
    frozen,
    takenAt: new Date(context.clock.now()).toISOString(),
    disks: disks.map(({ id: diskId, role, target }, at) => ({
      ...{ id: diskId, role, target },
      file: { path: pushed[at]!.path, format: 'qcow2' as const },
      changes: pushed[at]!.since !== undefined,
    })),
  };
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
    if (checkpoint.name === name) await removeCheckpoint(connection, checkpoint);
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
