// What fronts call to read, make, check and forget backup stores. A host does the work, in workflows.
import { randomBytes } from 'node:crypto';
import type { BackupPlace } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import { type BackupStoreId, type HostId, newId, type OperationId } from '@virga/contract/ids';
import type { BackupStore, CreateBackupStore } from '@virga/contract/rest/backup-stores';
import { type CloudAccess, type ProjectAccess, projectOf } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { brokenConstraint, type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import { startWorkflow } from '../../workflows/workflow.ts';
import { checkStoreKind } from './check-store.workflow.ts';
import { importStoreKind } from './import-store.workflow.ts';
import { openStoreKind } from './open-store.workflow.ts';
import { requireStore, type StoreView, selectStores, toBackupStore } from './store-rows.ts';

type Changed = { store: BackupStore; operationId: OperationId };

const passwordBytes = 32;
const usualRegion = 'us-east-1';

export async function listBackupStores(
  db: Db,
  _access: ProjectAccess,
  { name, ...page }: PageRequest & { name?: string | undefined },
): Promise<{ items: BackupStore[]; next?: string }> {
  let query = selectStores(db);
  if (name !== undefined) query = query.where('backup_stores.name', '=', name);
  return fetchPage(query, 'backup_stores', page, (row) => toBackupStore(row as StoreView));
}

export async function getBackupStore(db: Db, _access: ProjectAccess, id: BackupStoreId): Promise<BackupStore> {
  return toBackupStore(await requireStore(db, id));
}

/**
 * Makes a store, or opens the one that is at that place. It is gone again when it cannot be opened.
 * @throws InvalidArgument | NotFound the host | NameTaken
 */
export async function createBackupStore(
  deps: Deps,
  access: CloudAccess<'admin'>,
  body: CreateBackupStore,
  idempotency?: Idempotency,
): Promise<Changed> {
  const { name, s3, password, limitBytesPerSecond } = body;
  const place = placeOf(body);
  const projectId = projectOf(access);
  try {
    return await onceOnly(deps.db, idempotency, async (tx) => {
      const id = newId('backupStore');
      const { seal } = deps;
      const keys = s3 && JSON.stringify({ accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey });
      await tx
        .insertInto('backup_stores')
        .values({
          ...{ id, name, place: JSON.stringify(place), host_id: await hostOf(tx, body) },
          password_sealed: seal.seal(password ?? randomBytes(passwordBytes).toString('base64url'), id),
          s3_keys_sealed: keys === undefined ? null : seal.seal(keys, id),
          limit_bytes_per_second: limitBytesPerSecond ?? null,
          ...{ state_reason: null, size_bytes: null, checked_at: null },
        })
        .execute();
      await appendEvent(tx, access, {
        ...{ type: 'backup-store.create-requested', projectId: null, resourceId: id, resourceName: name },
        message: `Creation of the backup store ${name} was asked for.`,
        data: { kind: place.kind },
      });
      const resource = { projectId, resourceId: id, resourceName: name };
      const operationId = await startWorkflow(tx, access, openStoreKind, resource, { storeId: id, projectId });
      await notify(tx, 'keepsakes');
      return { store: toBackupStore(await requireStore(tx, id)), operationId };
    });
  } catch (error) {
    if (brokenConstraint(error) !== 'backup_stores_name_taken') throw error;
    throw new VirgaError('NameTaken', {
      detail: `A backup store named ${name} exists.`,
      action: 'Choose another name, or delete that one.',
      field: '/name',
    });
  }
}

function placeOf({ path, host, s3 }: CreateBackupStore): BackupPlace {
  if ((path === undefined) === (s3 === undefined) || (s3 !== undefined && host !== undefined)) {
    throw new VirgaError('InvalidArgument', {
      detail: 'A backup store is a folder or a bucket; a bucket is of no host.',
      action: 'Give a path, or endpoint, bucket and keys of S3.',
      field: '/path',
    });
  }
  if (path !== undefined) return { kind: 'directory', path };
  const { endpoint, bucket, prefix = '', region = usualRegion, ca = null } = s3!;
  return { kind: 's3', endpoint, bucket, prefix, region, ca };
}

async function hostOf(tx: Tx, { host, path }: CreateBackupStore): Promise<HostId | null> {
  if (host === undefined) return null;
  const found = await tx
    .selectFrom('hosts')
    .select('id')
    .where((where) => where.or([where('id', '=', host as HostId), where('name', '=', host)]))
    .executeTakeFirst();
  if (found && path !== undefined) return found.id;
  throw new VirgaError('NotFound', {
    detail: `There is no host ${host}.`,
    action: 'List hosts with virga hosts list.',
    field: '/host',
  });
}

/** @throws NotFound */
export async function checkBackupStore(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: BackupStoreId,
  { readPercent = 10 }: { readPercent?: number },
): Promise<Changed> {
  const projectId = projectOf(access);
  return inTransaction(deps.db, async (tx) => {
    const row = await requireStore(tx, id);
    const resource = { projectId, resourceId: id, resourceName: row.name };
    await appendEvent(tx, access, {
      ...{ type: 'backup-store.check-requested', projectId: null, resourceId: id, resourceName: row.name },
      message: `A check of the backup store ${row.name} was asked for.`,
    });
    const operationId = await startWorkflow(tx, access, checkStoreKind, resource, {
      storeId: id,
      projectId,
      readPercent,
    });
    return { store: toBackupStore(row), operationId };
  });
}

/** Looks for backups in a store that this cloud does not know. @throws NotFound */
export async function importBackupStore(deps: Deps, access: CloudAccess<'admin'>, id: BackupStoreId): Promise<Changed> {
  const projectId = projectOf(access);
  return inTransaction(deps.db, async (tx) => {
    const row = await requireStore(tx, id);
    const resource = { projectId, resourceId: id, resourceName: row.name };
    await tx.updateTable('backup_stores').set({ imported: false }).where('id', '=', id).execute();
    await appendEvent(tx, access, {
      ...{ type: 'backup-store.import-requested', projectId: null, resourceId: id, resourceName: row.name },
      message: `A search for backups in the backup store ${row.name} was asked for.`,
    });
    const operationId = await startWorkflow(tx, access, importStoreKind, resource, { storeId: id, projectId });
    return { store: toBackupStore(row), operationId };
  });
}

/** Who has it can read every backup in the store, so it is written down that it was shown. */
export async function getBackupStoreKey(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: BackupStoreId,
): Promise<{ password: string }> {
  return inTransaction(deps.db, async (tx) => {
    const row = await requireStore(tx, id);
    await appendEvent(tx, access, {
      ...{ type: 'backup-store.key-shown', projectId: null, resourceId: id, resourceName: row.name },
      message: `The password of the backup store ${row.name} was shown.`,
    });
    return { password: deps.seal.open(row.password_sealed, id) };
  });
}

/** @throws NotFound | InUse there are backups in it, or schedules that use it */
export async function deleteBackupStore(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: BackupStoreId,
): Promise<Record<string, never>> {
  return inTransaction(deps.db, async (tx) => {
    await tx.selectFrom('backup_stores').select('id').where('id', '=', id).forUpdate().execute();
    const row = await requireStore(tx, id);
    const schedules = await tx.selectFrom('backup_schedules').select('id').where('store_id', '=', id).execute();
    if (row.backups > 0 || schedules.length > 0) {
      throw new VirgaError('InUse', {
        detail: `The backup store ${row.name} has ${row.backups} backups, and ${schedules.length} schedules use it.`,
        action: 'Delete those first: virga backups list, virga backups schedules.',
      });
    }
    await tx.deleteFrom('backup_stores').where('id', '=', id).execute();
    await notify(tx, 'keepsakes');
    await appendEvent(tx, access, {
      ...{ type: 'backup-store.deleted', projectId: null, resourceId: id, resourceName: row.name },
      message: `The backup store ${row.name} was forgotten; what is at its place stays.`,
    });
    return {};
  });
}
