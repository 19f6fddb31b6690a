// Backup stores and schedules of a lost database, as hosts keep them. What backups lie in a store is looked for by a workflow that
// begins with the server; until then nothing is removed from it.
import type { Inventory } from '@virga/contract/agent/inventory';
import type { HostId, InstanceId, UserId } from '@virga/contract/ids';
import type { SystemAccess } from '../access/authorizer.ts';
import { importStoreKind } from '../modules/backups/import-store.workflow.ts';
import type { KeptBackupStore } from '../modules/backups/kept-stores.ts';
import type { Seal } from '../modules/identity/seal.ts';
import { firstRun } from '../modules/instances/instance-schedule.ts';
import type { Tx } from '../store/database.ts';
import { startWorkflow } from '../workflows/workflow.ts';
import { keptHostOf, newestCloudOf } from './recovered-hosts.ts';

type Part = Pick<Inventory, 'keepsakes'>;

/** After hosts, projects and instances. @param userId on whose behalf schedules run: who asked for them is lost */
export async function recoverBackups(
  tx: Tx,
  access: SystemAccess,
  parts: readonly Part[],
  { seal, userId, leftAlone }: { seal: Seal | undefined; userId: UserId | null; leftAlone: string[] },
): Promise<{ backupStores: number; backupSchedules: number }> {
  const project = await tx.selectFrom('projects').select('id').orderBy('created_at').executeTakeFirst();
  const stores = new Set<string>();
  for (const store of newestCloudOf(parts)?.backupStores ?? []) {
    if (!opens(seal, store)) {
      leftAlone.push(
        `The password of the backup store ${store.name} cannot be read without the seal.key that it had; open it anew with --password-file.`,
      );
      continue;
    }
    await insertStore(tx, store);
    stores.add(store.id);
    const resource = { resourceId: store.id, resourceName: store.name };
    if (project) {
      const input = { storeId: store.id, projectId: project.id };
      await startWorkflow(tx, access, importStoreKind, { ...resource, projectId: project.id }, input);
    } else
      leftAlone.push(
        `What is in the backup store ${store.name} is known after: virga backup-stores import ${store.name}`,
      );
  }
  let backupSchedules = 0;
  for (const { created_at, retention, ...row } of parts.flatMap((part) => keptHostOf(part)?.backupSchedules ?? [])) {
    const instance = await tx
      .selectFrom('instances')
      .select('id')
      .where('id', '=', row.instance_id as InstanceId)
      .executeTakeFirst();
    if (!instance || !stores.has(row.store_id)) {
      leftAlone.push(`A schedule of backups, ${row.id}, is of an instance or a store that is not there.`);
      continue;
    }
    const next = firstRun({ cron: row.cron, timeZone: row.time_zone }, new Date());
    await tx
      .insertInto('backup_schedules')
      .values({
        ...{ ...row, retention: JSON.stringify(retention), created_at: new Date(created_at) },
        ...{ next_run_at: next, user_id: userId },
      })
      .execute();
    backupSchedules++;
  }
  return { backupStores: stores.size, backupSchedules };
}

async function insertStore(
  tx: Tx,
  { password, s3Keys, place, created_at, host_id, ...row }: KeptBackupStore,
): Promise<void> {
  const host = await tx
    .selectFrom('hosts')
    .select('id')
    .where('id', '=', host_id as HostId)
    .executeTakeFirst();
  await tx
    .insertInto('backup_stores')
    .values({
      ...{ ...row, place: JSON.stringify(place), host_id: host?.id ?? null, imported: false },
      password_sealed: Buffer.from(password, 'base64'),
      s3_keys_sealed: s3Keys === null ? null : Buffer.from(s3Keys, 'base64'),
      ...{
        state_reason: 'what backups are in it is being looked at',
        size_bytes: null,
        checked_at: null,
        created_at: new Date(created_at),
      },
    })
    .execute();
}

/** Without a seal nobody can say. */
function opens(seal: Seal | undefined, { id, password }: KeptBackupStore): boolean {
  try {
    seal?.open(Buffer.from(password, 'base64'), id);
    return true;
  } catch {
    return false;
  }
}
