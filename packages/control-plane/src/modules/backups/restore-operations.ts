// What fronts call to restore a backup: as a new instance, or in the place of the disks of the one it is of.
import { VirgaError } from '@virga/contract/errors';
import { type BackupId, type InstanceId, newId, type OperationId } from '@virga/contract/ids';
import type { Backup } from '@virga/contract/rest/backups';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { findInstance } from '../instances/instance-store.ts';
import { refuseSnapshots } from '../instances/kept-snapshots.ts';
import { refuseTakenName } from '../instances/launch-instance.ts';
import { poolForRestored, refuseUnrestorable } from '../instances/launch-restored.ts';
import { refuseDisksMoving } from '../instances/root-disk-moves.ts';
import { type BackupView, requireAvailable, resourceOf, toBackup } from './backup-rows.ts';
import { restoreHost } from './fetch-disks.ts';
import { restoreBackupKind } from './restore-backup.workflow.ts';
import { restoreInPlaceKind } from './restore-in-place.workflow.ts';

type Restored = { backup: Backup; instanceId: InstanceId; operationId: OperationId };
type Request = {
  name?: string | undefined;
  inPlace?: boolean | undefined;
  network?: string | undefined;
  type?: string | undefined;
  pool?: string | undefined;
};

const usualNetwork = 'default';

/**
 * Begins a restore. The new instance is there when the operation has succeeded, and starts then.
 * @throws NotFound | Conflict the instance is on, or gone | NameTaken | InvalidArgument
 */
export async function restoreBackup(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: BackupId,
  body: Request,
): Promise<Restored> {
  return inTransaction(deps.db, async (tx) => {
    const row = await requireAvailable(tx, access, id);
    return body.inPlace ? restoreInPlace(tx, access, row, body) : restoreAsNew(tx, access, row, body);
  });
}

async function restoreAsNew(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  row: BackupView,
  body: Request,
): Promise<Restored> {
  const { type = row.machine.type, network = row.machine.networks.at(0) ?? usualNetwork, pool } = body;
  const name = body.name ?? row.instance_name;
  await refuseUnrestorable(tx, access, { type, network });
  if (pool !== undefined) {
    const rootBytes = row.disks.find(({ role }) => role === 'root')?.sizeBytes ?? 0;
    await poolForRestored(tx, pool, await restoreHost(tx, row), rootBytes);
  }
  await refuseTakenName(tx, access, name);
  const instanceId = newId('instance');
  const ownTpm = row.machine.tpm ? ', with a TPM of its own, which is empty' : '';
  await tellRequested(tx, access, row, `as instance ${name}${ownTpm}`);
  const operationId = await startWorkflow(tx, access, restoreBackupKind, resourceOf(row), {
    ...{ backupId: row.id, restoreId: newId('restore'), instanceId, name, type, network, ...(pool && { pool }) },
    ...{ userId: access.actor.userId, userName: access.actor.name },
  });
  return { backup: toBackup(row), instanceId, operationId };
}

async function restoreInPlace(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  row: BackupView,
  { name, network, type, pool }: Request,
): Promise<Restored> {
  if ([name, network, type, pool].some((given) => given !== undefined)) {
    throw new VirgaError('InvalidArgument', {
      detail: 'A restore in place changes nothing but the disks.',
      action: 'Leave name, network, type and pool out.',
      field: '/inPlace',
    });
  }
  const instance = await findInstance(tx, row.instance_id);
  if (instance?.project_id !== access.projectId) {
    throw new VirgaError('Conflict', {
      detail: `Instance ${row.instance_name}, of which the backup is, is gone.`,
      action: 'Restore it as a new instance.',
    });
  }
  if (instance.state !== 'stopped') {
    throw new VirgaError('Conflict', {
      detail: `Instance ${instance.name} is ${instance.state}, and its disks cannot be replaced.`,
      action: `Stop it first: virga stop ${instance.name}`,
    });
  }
  const present = new Set<string>([instance.root_disk_id, ...instance.volumes.map(({ id }) => id)]);
  const missing = row.disks.find(({ id }) => !present.has(id));
  if (missing) {
    throw new VirgaError('Conflict', {
      detail: `Instance ${instance.name} no longer has the volume ${missing.id}, which is in the backup.`,
      action: 'Attach it again, or restore the backup as a new instance.',
    });
  }
  await refuseSnapshots(tx, instance, 'its disks cannot be replaced');
  await refuseDisksMoving(tx, instance);
  await refuseOtherForms(tx, row);
  await tellRequested(tx, access, row, 'in place');
  const input = { backupId: row.id, restoreId: newId('restore') };
  const operationId = await startWorkflow(tx, access, restoreInPlaceKind, resourceOf(row), input);
  return { backup: toBackup(row), instanceId: instance.id, operationId };
}

/** What is fetched is a plain qcow2 on the host's own storage, of which Ceph gets a copy. Of pools that are folders the host says whether that is the same. */
async function refuseOtherForms(tx: Tx, { disks }: BackupView): Promise<void> {
  const ids = disks.filter(({ role }) => role === 'data').map(({ id }) => id);
  if (ids.length === 0) return;
  const volumes = await tx
    .selectFrom('volumes')
    .leftJoin('pools', 'pools.id', 'volumes.pool_id')
    .select(['volumes.name', 'volumes.format', 'volumes.passphrase_sealed', 'pools.driver'])
    .where('volumes.id', 'in', ids)
    .execute();
  for (const { name, format, passphrase_sealed: sealed, driver } of volumes) {
    const why =
      sealed !== null && driver === 'rbd'
        ? 'is encrypted in Ceph, and what is fetched is not'
        : format === 'raw' && driver !== 'rbd' && 'is raw, and what is fetched is qcow2';
    if (!why) continue;
    throw new VirgaError('Conflict', {
      detail: `The volume ${name} ${why}: it cannot be replaced.`,
      action: 'Restore the backup as a new instance.',
      field: '/inPlace',
    });
  }
}

const tellRequested = (tx: Tx, access: ProjectAccess<'operator'>, row: BackupView, how: string) =>
  appendEvent(tx, access, {
    ...{ type: 'backup.restore-requested', ...resourceOf(row) },
    message: `A backup of instance ${row.instance_name} is to be restored ${how}.`,
    data: { backup: row.id },
  });
