// What fronts call to read, make, delete, merge, verify and restore backups. Hosts do the work, in workflows.
import { VirgaError } from '@virga/contract/errors';
import type { ScheduleId } from '@virga/contract/ids';
import { type BackupId, type BackupStoreId, type InstanceId, newId, type OperationId } from '@virga/contract/ids';
import type { BackedUpMachine, Backup, CreateBackup } from '@virga/contract/rest/backups';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { holdInstanceNamed } from '../instances/hold-instance-named.ts';
import type { InstanceRow } from '../instances/instance-store.ts';
import { refuseDisksMoving } from '../instances/root-disk-moves.ts';
import { openOperationsOf } from '../operations/operation-store.ts';
import {
  type BackupView,
  requireAvailable,
  requireBackup,
  resourceOf,
  selectBackups,
  toBackup,
} from './backup-rows.ts';
import { deleteBackupKind } from './delete-backup.workflow.ts';
import { makeBackupKind } from './make-backup.workflow.ts';
import { mergeBackupKind } from './merge-backup.workflow.ts';
import { resolveStore } from './store-rows.ts';
import { verifyBackupKind } from './verify-backup.workflow.ts';

type Changed = { backup: Backup; operationId: OperationId };

export async function listBackups(
  db: Db,
  access: ProjectAccess,
  { instance, ...page }: PageRequest & { instance?: string | undefined },
): Promise<{ items: Backup[]; next?: string }> {
  let query = selectBackups(db).where('backups.project_id', '=', access.projectId);
  if (instance !== undefined) {
    query = query.where((where) =>
      where.or([
        where('backups.instance_id', '=', instance as InstanceId),
        where('backups.instance_name', '=', instance),
      ]),
    );
  }
  return fetchPage(query, 'backups', page, (row) => toBackup(row as BackupView), 'desc');
}

/** @throws NotFound */
export async function getBackup(db: Db, access: ProjectAccess, id: BackupId): Promise<Backup> {
  return toBackup(await requireBackup(db, access, id));
}

/**
 * Begins a backup of an instance. It is there when the operation has succeeded; one that fails leaves nothing.
 * @throws NotFound the instance or the store | Conflict | InvalidArgument | IdempotencyMismatch
 */
export async function createBackup(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  { instance, store, full = false, freeze = true }: CreateBackup,
  idempotency?: Idempotency,
): Promise<Changed> {
  return onceOnly(deps.db, idempotency, async (tx) => {
    const row = await holdInstanceNamed(tx, access, instance);
    const { id: storeId } = await resolveStore(tx, store);
    return beginBackup(tx, access, row, { storeId, full, freezes: freeze, scheduleId: null });
  });
}

/** @throws Conflict it is adopted or being deleted, or the store is of another host */
export async function beginBackup(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  instance: InstanceRow,
  how: { storeId: BackupStoreId; full: boolean; freezes: boolean; scheduleId: ScheduleId | null },
): Promise<Changed> {
  await refuseImpossible(tx, instance, how.storeId);
  await refuseDisksMoving(tx, instance);
  const id = newId('backup');
  await tx
    .insertInto('backups')
    .values({
      ...{ id, project_id: access.projectId, store_id: how.storeId, instance_id: instance.id },
      ...{ instance_name: instance.name, host_id: instance.host_id, schedule_id: how.scheduleId },
      ...{ full_asked: how.full, freezes: how.freezes, full_reason: null, parent_id: null, frozen: null },
      ...{ taken_at: null, settings_snapshot_id: null, added_bytes: null },
      machine: JSON.stringify(await machineOf(tx, instance)),
    })
    .execute();
  const row = await requireBackup(tx, access, id);
  await appendEvent(tx, access, {
    ...{ type: 'backup.create-requested', ...resourceOf(row) },
    message: `A backup of instance ${instance.name} was asked for.`,
    data: { store: how.storeId, full: how.full },
  });
  const operationId = await startWorkflow(tx, access, makeBackupKind, resourceOf(row), {
    ...{ backupId: id, turn: instance.id },
  });
  return { backup: toBackup(row), operationId };
}

/** @throws Conflict it is adopted or being deleted, or the store is of another host */
export async function refuseImpossible(tx: Tx, instance: InstanceRow, storeId: BackupStoreId): Promise<void> {
  const { name, host_id: hostId, host_name: hostName } = instance;
  const refuse = (detail: string, action: string) => {
    throw new VirgaError('Conflict', { detail, action });
  };
  if (instance.desired === 'deleted') refuse(`Instance ${name} is being deleted.`, 'Back another one up.');
  if (instance.origin === 'adopted') {
    refuse(
      `Instance ${name} was adopted: its disks are not Virga's, and are not backed up.`,
      'Back it up as before it was adopted, or move its data to an instance that was launched.',
    );
  }
  const store = await tx
    .selectFrom('backup_stores')
    .select(['name', 'host_id'])
    .where('id', '=', storeId)
    .executeTakeFirst();
  if (store?.host_id && store.host_id !== hostId) {
    refuse(
      `The backup store ${store.name} is a folder of another host than ${hostName}, which has instance ${name}.`,
      'Name a store that this host sees.',
    );
  }
}

async function machineOf(tx: Tx, instance: InstanceRow): Promise<BackedUpMachine> {
  const { user_data: userData } = await tx
    .selectFrom('instances')
    .select('user_data')
    .where('id', '=', instance.id)
    .executeTakeFirstOrThrow();
  const ids = instance.volumes.map(({ id }) => id);
  const volumes =
    ids.length === 0
      ? []
      : await tx.selectFrom('volumes').select(['id', 'name', 'passphrase_sealed']).where('id', 'in', ids).execute();
  return {
    ...{ type: instance.type, vcpus: instance.vcpus, memoryMib: instance.memory_mib },
    ...{ hardware: instance.hardware, firmware: instance.firmware, tpm: instance.tpm },
    ...{ bootOrder: instance.boot_order, keyPairs: instance.key_pairs, userData },
    guestHostName: instance.guest_host_name,
    networks: instance.nics.map(({ networkName }) => networkName),
    nicLimits: instance.nics.map(({ limits }) => limits),
    ...{ maxVcpus: instance.max_vcpus, maxMemoryMib: instance.max_memory_mib },
    ...{ hugePageKib: instance.huge_page_kib, noMerge: instance.no_merge },
    cpu: { policy: instance.cpu_policy, shares: instance.cpu_shares, capPercent: instance.cpu_cap_percent },
    ...{ watchdog: instance.watchdog, cdromDrive: instance.cdrom_drive },
    ...{ rootDiskLimits: instance.root_disk_limits, rootDiskDriver: instance.root_disk_driver },
    ...{ description: instance.description, tags: instance.tags },
    ...{ autostart: instance.autostart, crashPolicy: instance.crash_policy },
    volumes: instance.volumes.map(({ id, target, readOnly, limits, driver }) => {
      const found = volumes.find((volume) => volume.id === id);
      const encrypted = found !== undefined && found.passphrase_sealed !== null;
      const as = { id, target, readOnly, limits, driver };
      return { ...as, name: found?.name ?? id, ...(encrypted && { encrypted }) };
    }),
  };
}

/**
 * Deletes a backup. One that is being made is given up, and then its operation fails with Conflict.
 * @throws NotFound | InUse others rest on it
 */
export async function deleteBackup(deps: Deps, access: ProjectAccess<'operator'>, id: BackupId): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    await tx.selectFrom('backups').select('id').where('id', '=', id).forUpdate().execute();
    const row = await requireBackup(tx, access, id);
    const [open] = await openOperationsOf(tx, id);
    if (row.state === 'deleting' && open) return { backup: toBackup(row), operationId: open };
    await appendEvent(tx, access, {
      ...{ type: 'backup.delete-requested', ...resourceOf(row) },
      message: `Deletion of a backup of instance ${row.instance_name} was asked for.`,
      data: { backup: id },
    });
    if (row.state === 'pending' && open) {
      await tx.updateTable('backups').set({ cancelled: true }).where('id', '=', id).execute();
      await notify(tx, 'backups', id);
      return { backup: toBackup(row), operationId: open };
    }
    if (open) throw busy(id);
    const children = await tx.selectFrom('backups').select('id').where('parent_id', '=', id).execute();
    if (children.length > 0) {
      throw new VirgaError('InUse', {
        detail: `${children.length} backups rest on the backup ${id}.`,
        action: `Delete those first, or make the next one stand alone: virga backups merge ${children[0]!.id}`,
      });
    }
    await tx.updateTable('backups').set({ state: 'deleting' }).where('id', '=', id).execute();
    const operationId = await startWorkflow(tx, access, deleteBackupKind, resourceOf(row), { backupId: id });
    return { backup: toBackup({ ...row, state: 'deleting' }), operationId };
  });
}

/** @throws NotFound | Conflict */
export async function mergeBackup(deps: Deps, access: ProjectAccess<'operator'>, id: BackupId): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    const row = await requireIdle(tx, access, id);
    await appendEvent(tx, access, {
      ...{ type: 'backup.merge-requested', ...resourceOf(row) },
      message: `A backup of instance ${row.instance_name} is to stand alone.`,
      data: { backup: id },
    });
    const operationId = await startWorkflow(tx, access, mergeBackupKind, resourceOf(row), { backupId: id });
    return { backup: toBackup(row), operationId };
  });
}

const defaultTimeoutSeconds = 600;
const defaultExpected = 'login:';

/** @throws NotFound | Conflict */
export async function verifyBackup(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: BackupId,
  body: { boot?: boolean; expect?: string; timeoutSeconds?: number },
): Promise<Changed> {
  const { boot = true, expect = defaultExpected, timeoutSeconds = defaultTimeoutSeconds } = body;
  return inTransaction(deps.db, async (tx) => {
    const row = await requireIdle(tx, access, id);
    await appendEvent(tx, access, {
      ...{ type: 'backup.verify-requested', ...resourceOf(row) },
      message: `A test of a backup of instance ${row.instance_name} was asked for.`,
      data: { backup: id, boot },
    });
    const input = {
      backupId: id,
      boot,
      expect,
      timeoutSeconds,
      restoreId: newId('restore'),
      instanceId: newId('instance'),
    };
    const operationId = await startWorkflow(tx, access, verifyBackupKind, resourceOf(row), input);
    return { backup: toBackup(row), operationId };
  });
}

/** One thing at a time is done with a backup. */
export async function requireIdle(tx: Tx, access: ProjectAccess<'operator'>, id: BackupId): Promise<BackupView> {
  const row = await requireAvailable(tx, access, id);
  if ((await openOperationsOf(tx, id)).length > 0) throw busy(id);
  return row;
}

const busy = (id: BackupId) =>
  new VirgaError('Conflict', {
    detail: `The backup ${id} is being worked with.`,
    action: 'Wait until its operation has ended: virga operations list.',
  });
