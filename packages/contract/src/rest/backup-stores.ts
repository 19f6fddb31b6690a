// Backup stores: where backups are kept. A folder, which one host has or every host sees, or a bucket of an S3-compatible service.
// What is in one is always encrypted; the key is made by Virga unless it is given.
import { type Static, Type } from 'typebox';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { idParams, ListQuery, Name, Nullable, Page, Time } from './shared.ts';

export const BackupStorePlace = Type.Union([
  Type.Object({ kind: Type.Literal('directory'), path: Type.String() }),
  Type.Object({
    kind: Type.Literal('s3'),
    endpoint: Type.String(),
    bucket: Type.String(),
    prefix: Type.String(),
    region: Type.String(),
  }),
]);

export const BackupStore = Type.Object(
  {
    id: IdSchema('backupStore'),
    name: Name,
    place: BackupStorePlace,
    hostName: Nullable(Type.String({ description: 'the only host that sees it; null: every one does' })),
    limitBytesPerSecond: Nullable(Type.Integer({ description: 'to and from it, of each backup' })),
    state: Type.Union([
      Type.Literal('pending', { description: 'being opened' }),
      Type.Literal('available'),
      Type.Literal('unreachable', { description: 'the last check could not reach it; see stateReason' }),
      Type.Literal('damaged', { description: 'the last check found something missing; see stateReason' }),
      Type.Literal('deleting'),
    ]),
    stateReason: Nullable(Type.String()),
    backups: Type.Integer({ description: 'how many are in it' }),
    sizeBytes: Nullable(Type.Integer({ description: 'what it took at the last check' })),
    checkedAt: Nullable(Time),
    createdAt: Time,
  },
  { $id: 'BackupStore' },
);
export type BackupStore = Static<typeof BackupStore>;

const secret = (description: string) => Type.String({ minLength: 1, maxLength: 1024, description });

export const CreateBackupStore = Type.Object(
  {
    name: Name,
    path: Type.Optional(Type.String({ pattern: '^/', maxLength: 1024, description: 'a folder, absolute' })),
    host: Type.Optional(
      Type.String({ minLength: 1, maxLength: 255, description: 'the host that has the folder; default every one' }),
    ),
    s3: Type.Optional(
      Type.Object(
        {
          endpoint: Type.String({ pattern: '^https?://[^/]+$', maxLength: 512 }),
          bucket: Type.String({ pattern: '^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$' }),
          prefix: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9._/-]*$', maxLength: 256 })),
          region: Type.Optional(Type.String({ pattern: '^[a-z0-9-]+$', maxLength: 64 })),
          accessKeyId: secret('of the service'),
          secretAccessKey: secret('of the service'),
          ca: Type.Optional(Type.String({ maxLength: 65_536, description: 'certificates of who signed its, PEM' })),
        },
        { additionalProperties: false },
      ),
    ),
    password: Type.Optional(
      Type.String({ minLength: 8, maxLength: 1024, description: 'of the encryption; default one that is made' }),
    ),
    limitBytesPerSecond: Type.Optional(Type.Integer({ minimum: 1024, maximum: 100_000_000_000 })),
  },
  { $id: 'CreateBackupStore', additionalProperties: false },
);
export type CreateBackupStore = Static<typeof CreateBackupStore>;

const change = {
  access: { scope: 'cloud', role: 'admin' },
  ok: Type.Object({ store: BackupStore, operationId: IdSchema('operation') }),
  status: 202,
} as const;

export const backupStoreRoutes = {
  listBackupStores: route({
    method: 'GET',
    path: '/v1/backup-stores',
    summary: 'List backup stores',
    access: { scope: 'project', role: 'viewer' },
    query: ListQuery,
    ok: Page(BackupStore),
  }),
  getBackupStore: route({
    method: 'GET',
    path: '/v1/backup-stores/{id}',
    summary: 'Show a backup store',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('backupStore'),
    ok: BackupStore,
  }),
  createBackupStore: route({
    ...change,
    method: 'POST',
    path: '/v1/backup-stores',
    summary: 'Open a backup store, or make one where there is none',
    body: CreateBackupStore,
  }),
  checkBackupStore: route({
    ...change,
    method: 'POST',
    path: '/v1/backup-stores/{id}/check',
    summary: 'Check that all is there that should be, read a share of it, and remove what belongs to no backup',
    params: idParams('backupStore'),
    body: Type.Object(
      { readPercent: Type.Optional(Type.Integer({ minimum: 0, maximum: 100, default: 10 })) },
      { additionalProperties: false },
    ),
  }),
  importBackupStore: route({
    ...change,
    method: 'POST',
    path: '/v1/backup-stores/{id}/import',
    summary: 'Look for backups in the store that this cloud does not know, such as those of another one',
    params: idParams('backupStore'),
  }),
  getBackupStoreKey: route({
    method: 'GET',
    path: '/v1/backup-stores/{id}/key',
    summary: 'Show the password of the encryption, without which nobody can read the store when this cloud is lost',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('backupStore'),
    ok: Type.Object({ password: Type.String() }),
  }),
  deleteBackupStore: route({
    method: 'DELETE',
    path: '/v1/backup-stores/{id}',
    summary: 'Forget a backup store that has no backups; what is at its place stays',
    access: { scope: 'cloud', role: 'admin' },
    params: idParams('backupStore'),
    ok: Type.Object({}),
  }),
};
