// Rows of backup stores: finding them, what callers are told of them, and what hosts need to open them.

import type { HostAgent } from '@virga/contract/agent/agent';
import type { BackupStoreAccess } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import type { BackupStoreId, HostId } from '@virga/contract/ids';
import type { BackupStore } from '@virga/contract/rest/backup-stores';
import { type Selectable, sql } from 'kysely';
import type { Deps } from '../../deps.ts';
import type { Db, Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';

export type StoreRow = Selectable<Database['backup_stores']>;
export type StoreView = StoreRow & { host_name: string | null; backups: number };

export const selectStores = (db: Db | Tx) =>
  db
    .selectFrom('backup_stores')
    .leftJoin('hosts', 'hosts.id', 'backup_stores.host_id')
    .selectAll('backup_stores')
    .select([
      'hosts.name as host_name',
      sql<number>`(select count(*)::int from backups b where b.store_id = backup_stores.id)`.as('backups'),
    ]);

export async function requireStore(db: Db | Tx, id: BackupStoreId): Promise<StoreView> {
  const row = await selectStores(db).where('backup_stores.id', '=', id).executeTakeFirst();
  if (!row) throw storeNotFound(id);
  return row;
}

/** A store by id or name; the only one when none is named. @throws NotFound | InvalidArgument there are several | Conflict */
export async function resolveStore(tx: Tx, idOrName: string | undefined): Promise<StoreView> {
  const rows = await selectStores(tx).execute();
  const found =
    idOrName === undefined
      ? rows.at(0)
      : (rows.find(({ id }) => id === idOrName) ?? rows.find(({ name }) => name === idOrName));
  if (found === undefined) throw storeNotFound(idOrName);
  if (idOrName === undefined && rows.length > 1) {
    throw new VirgaError('InvalidArgument', {
      detail: 'There are several backup stores, and none was named.',
      action: 'Name one: virga backup-stores list.',
      field: '/store',
    });
  }
  if (found.state === 'pending' || found.state === 'deleting') {
    throw new VirgaError('Conflict', {
      detail: `The backup store ${found.name} is ${found.state === 'pending' ? 'still being opened' : 'being deleted'}.`,
      action: 'Wait until it is available, or name another one.',
      field: '/store',
    });
  }
  return found;
}

/** What a host needs to work with it. */
export function accessOf({ cloudId, seal }: Pick<Deps, 'cloudId' | 'seal'>, row: StoreRow): BackupStoreAccess {
  const keys = row.s3_keys_sealed && seal.open(row.s3_keys_sealed, row.id);
  return {
    ...{ id: row.id, cloudId, place: row.place, password: seal.open(row.password_sealed, row.id) },
    limitBytesPerSecond: row.limit_bytes_per_second,
    ...(keys && { s3Keys: JSON.parse(keys) as BackupStoreAccess['s3Keys'] }),
  };
}

/** A host that sees it: its own, else the wanted one, else any. @throws HostUnavailable */
export function agentFor({ agents }: Pick<Deps, 'agents'>, { host_id }: StoreRow, wanted?: HostId): HostAgent {
  const all = agents.all();
  const host = all.find(({ id }) => id === (host_id ?? wanted)) ?? (host_id === null ? all.at(0) : undefined);
  if (host !== undefined) return host.agent;
  throw new VirgaError('HostUnavailable', {
    detail: 'No host that sees the backup store is known to this server.',
    action: 'Bring its host back.',
  });
}

const storeNotFound = (idOrName: string | undefined) =>
  new VirgaError('NotFound', {
    detail: idOrName === undefined ? 'There is no backup store.' : `There is no backup store ${idOrName}.`,
    action: 'List them with virga backup-stores list, or make one: virga backup-stores create.',
    field: '/store',
  });

export function toBackupStore(row: StoreView): BackupStore {
  const { place } = row;
  return {
    id: row.id,
    name: row.name,
    place:
      place.kind === 'directory'
        ? place
        : {
            ...{ kind: 's3', endpoint: place.endpoint, bucket: place.bucket, prefix: place.prefix },
            region: place.region,
          },
    hostName: row.host_name,
    limitBytesPerSecond: row.limit_bytes_per_second,
    state: row.state,
    stateReason: row.state_reason,
    backups: row.backups,
    sizeBytes: row.size_bytes,
    checkedAt: row.checked_at?.toISOString() ?? null,
    createdAt: row.created_at.toISOString(),
  };
}
