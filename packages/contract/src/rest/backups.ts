// Backups of instances: the content of their disks at one moment, in a backup store. One has everything in it, or what has changed
// since another, which it rests on.
import { type Static, Type } from 'typebox';
import { FullReason, RestoredPath } from '../agent/backups.ts';
import {
  BootDevice,
  CpuTuning,
  DiskDriver,
  DiskLimits,
  Firmware,
  Hardware,
  MemoryBacking,
  NicLimits,
  WatchdogAction,
} from '../agent/desired.ts';
import { IdSchema } from '../ids.ts';
import { route } from '../route.ts';
import { lookMs } from './image-build.ts';
import { Autostart, CrashPolicy } from './instance-attributes.ts';
import { idParams, Name, Nothing, Nullable, Page, pageQuery, Time } from './shared.ts';

/** What is needed to make an instance of a backup, as it was then. What is optional is not in backups of earlier versions. */
export const BackedUpMachine = Type.Object({
  type: Type.String(),
  vcpus: Type.Integer(),
  memoryMib: Type.Integer(),
  hardware: Hardware,
  firmware: Firmware,
  tpm: Type.Boolean(),
  bootOrder: Type.Array(BootDevice),
  keyPairs: Type.Array(Type.Object({ name: Type.String(), publicKey: Type.String() })),
  userData: Nullable(Type.String()),
  guestHostName: Type.String(),
  networks: Type.Array(Type.String()),
  volumes: Type.Array(
    Type.Object({
      ...{ id: IdSchema('volume'), name: Type.String(), target: Type.String(), readOnly: Type.Boolean() },
      encrypted: Type.Optional(Type.Boolean({ description: 'what is restored of it is, with a key of its own' })),
      ...{ limits: Type.Optional(Nullable(DiskLimits)), driver: Type.Optional(Nullable(DiskDriver)) },
    }),
  ),
  maxVcpus: Type.Optional(Nullable(Type.Integer())),
  maxMemoryMib: Type.Optional(Nullable(Type.Integer())),
  hugePageKib: Type.Optional(MemoryBacking.properties.hugePageKib),
  noMerge: Type.Optional(Type.Boolean()),
  cpu: Type.Optional(Type.Pick(CpuTuning, ['policy', 'shares', 'capPercent'])),
  watchdog: Type.Optional(Nullable(WatchdogAction)),
  /** The drive, not what lay in it. */
  cdromDrive: Type.Optional(Type.Boolean()),
  rootDiskLimits: Type.Optional(Nullable(DiskLimits)),
  rootDiskDriver: Type.Optional(Nullable(DiskDriver)),
  /** As of `networks`. */
  nicLimits: Type.Optional(Type.Array(Nullable(NicLimits))),
  description: Type.Optional(Type.String()),
  tags: Type.Optional(Type.Record(Type.String(), Type.String())),
  autostart: Type.Optional(Autostart),
  crashPolicy: Type.Optional(CrashPolicy),
});
export type BackedUpMachine = Static<typeof BackedUpMachine>;

export const Verification = Type.Object({
  at: Time,
  outcome: Type.Union([
    Type.Literal('sound', { description: 'all of it was read back and is what was stored' }),
    Type.Literal('boots', { description: 'and a machine that was made of it has booted' }),
    Type.Literal('failed'),
  ]),
  detail: Type.String(),
});
export type Verification = Static<typeof Verification>;

const keep = (of: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 1000, description: of }));

/** What is kept by any of these is kept; a rule that is not given keeps nothing. */
export const Retention = Type.Object(
  {
    last: keep('the youngest ones'),
    daily: keep('the youngest of each of the last days that have one'),
    weekly: keep('the youngest of each of the last weeks that have one'),
    monthly: keep('the youngest of each of the last months that have one'),
  },
  { additionalProperties: false },
);
export type Retention = Static<typeof Retention>;

export const Backup = Type.Object(
  {
    id: IdSchema('backup'),
    projectId: IdSchema('project'),
    storeId: IdSchema('backupStore'),
    storeName: Type.String(),
    instanceId: IdSchema('instance'),
    instanceName: Type.String(),
    scheduleId: Nullable(IdSchema('schedule')),
    state: Type.Union([Type.Literal('pending'), Type.Literal('available'), Type.Literal('deleting')]),
    parentId: Nullable(Type.Unsafe<`bak-${string}`>({ ...IdSchema('backup'), description: 'what it rests on' })),
    fullReason: Nullable(
      Type.Unsafe<Static<typeof FullReason>>({
        ...FullReason,
        description: 'why it has everything in it; null: incremental',
      }),
    ),
    frozen: Nullable(Type.Boolean({ description: 'the file systems of the guest stood still for it' })),
    takenAt: Nullable(Time),
    disks: Type.Array(
      Type.Object({
        id: IdSchema('volume'),
        role: Type.Union([Type.Literal('root'), Type.Literal('data')]),
        sizeBytes: Type.Integer(),
        dataBytes: Type.Integer({ description: 'what was read of it' }),
      }),
    ),
    addedBytes: Nullable(Type.Integer({ description: 'what the store did not have yet, before compression' })),
    verified: Nullable(Verification),
    openUntil: Nullable(Type.Unsafe<string>({ ...Time, description: 'its files can be read until then' })),
    createdAt: Time,
  },
  { $id: 'Backup' },
);
export type Backup = Static<typeof Backup>;

const idOrName = (description: string) => Type.String({ minLength: 1, maxLength: 64, description });

export const CreateBackup = Type.Object(
  {
    instance: idOrName('id or name'),
    store: Type.Optional(idOrName('id or name; default the only one')),
    full: Type.Optional(Type.Boolean({ description: 'with everything in it' })),
    freeze: Type.Optional(
      Type.Boolean({ description: 'freeze file systems through the guest agent, where it answers; default true' }),
    ),
  },
  { $id: 'CreateBackup', additionalProperties: false },
);
export type CreateBackup = Static<typeof CreateBackup>;

export const BackupSchedule = Type.Object(
  {
    id: IdSchema('schedule'),
    instanceId: IdSchema('instance'),
    instanceName: Type.String(),
    storeId: IdSchema('backupStore'),
    storeName: Type.String(),
    cron: Type.String(),
    timeZone: Type.String(),
    retention: Retention,
    chainLimit: Type.Integer({ description: 'how many backups rest on each other at most' }),
    nextRunAt: Time,
    createdBy: Type.String({ description: 'whose role decides whether it may run' }),
    createdAt: Time,
  },
  { $id: 'BackupSchedule' },
);
export type BackupSchedule = Static<typeof BackupSchedule>;

export const CreateBackupSchedule = Type.Object(
  {
    instance: idOrName('id or name'),
    store: Type.Optional(idOrName('id or name; default the only one')),
    cron: Type.String({ minLength: 1, maxLength: 200, description: 'such as 0 3 * * *' }),
    timeZone: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: 'IANA time zone; default UTC' })),
    retention: Type.Optional(Retention),
    chainLimit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 14 })),
    freeze: Type.Optional(Type.Boolean()),
  },
  { $id: 'CreateBackupSchedule', additionalProperties: false },
);
export type CreateBackupSchedule = Static<typeof CreateBackupSchedule>;

const change = {
  access: { scope: 'project', role: 'operator' },
  ok: Type.Object({ backup: Backup, operationId: IdSchema('operation') }),
  status: 202,
} as const;

export const backupRoutes = {
  listBackups: route({
    method: 'GET',
    path: '/v1/backups',
    summary: 'List backups, the youngest first',
    access: { scope: 'project', role: 'viewer' },
    query: Type.Object({ ...pageQuery, instance: Type.Optional(idOrName('id or name that the instance has or had')) }),
    ok: Page(Backup),
  }),
  getBackup: route({
    method: 'GET',
    path: '/v1/backups/{id}',
    summary: 'Show a backup',
    access: { scope: 'project', role: 'viewer' },
    params: idParams('backup'),
    ok: Backup,
  }),
  createBackup: route({
    ...change,
    method: 'POST',
    path: '/v1/backups',
    summary: 'Back an instance up, which goes on meanwhile',
    body: CreateBackup,
  }),
  deleteBackup: route({
    ...change,
    method: 'DELETE',
    path: '/v1/backups/{id}',
    summary: 'Delete a backup that no other rests on; one that is being made is given up',
    params: idParams('backup'),
  }),
  mergeBackup: route({
    ...change,
    method: 'POST',
    path: '/v1/backups/{id}/merge',
    summary: 'Make a backup stand alone, in the store and without the instance',
    params: idParams('backup'),
  }),
  verifyBackup: route({
    ...change,
    method: 'POST',
    path: '/v1/backups/{id}/verify',
    summary: 'Read all of a backup back, and boot a machine of it that nobody can reach',
    params: idParams('backup'),
    body: Type.Object(
      {
        boot: Type.Optional(Type.Boolean({ default: true })),
        expect: Type.Optional(
          Type.String({
            minLength: 1,
            maxLength: 200,
            description: 'what a machine without a guest agent prints on its serial console; default login:',
          }),
        ),
        timeoutSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 3600, default: 600 })),
      },
      { additionalProperties: false },
    ),
  }),
  restoreBackup: route({
    method: 'POST',
    path: '/v1/backups/{id}/restore',
    summary:
      'Make a new instance of a backup, or put its disks in the place of those of the instance, which must be off',
    access: { scope: 'project', role: 'operator' },
    params: idParams('backup'),
    body: Type.Object(
      {
        name: Type.Optional(Type.Unsafe<string>({ ...Name, description: 'of the new instance' })),
        inPlace: Type.Optional(Type.Boolean({ description: 'instead of a new one' })),
        network: Type.Optional(idOrName('id or name; default the one that it had')),
        type: Type.Optional(Type.Unsafe<string>({ ...Name, description: 'default the one that it had' })),
        pool: Type.Optional(idOrName('id or name, of where its disks are to lie; default the storage of the host')),
      },
      { additionalProperties: false },
    ),
    ok: Type.Object({ backup: Backup, instanceId: IdSchema('instance'), operationId: IdSchema('operation') }),
    status: 202,
  }),
  openBackup: route({
    ...change,
    method: 'POST',
    path: '/v1/backups/{id}/open',
    summary: 'Fetch the root disk of a backup, so that its files can be read, for an hour; again, for another',
    params: idParams('backup'),
  }),
  readBackupFile: route({
    method: 'GET',
    path: '/v1/backups/{id}/files',
    summary: 'List a folder, or read a piece of a file, of a backup that is open',
    access: { scope: 'project', role: 'operator' },
    patienceMs: lookMs,
    params: idParams('backup'),
    query: Type.Object({
      path: Type.String({ pattern: '^/', maxLength: 4096 }),
      offset: Type.Optional(
        Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'where in the file; default 0' }),
      ),
    }),
    ok: RestoredPath,
  }),
  listBackupSchedules: route({
    method: 'GET',
    path: '/v1/backup-schedules',
    summary: 'List the schedules that make backups, with when each runs next',
    access: { scope: 'project', role: 'viewer' },
    query: Type.Object({ ...pageQuery, instance: Type.Optional(idOrName('id or name')) }),
    ok: Page(BackupSchedule),
  }),
  createBackupSchedule: route({
    method: 'POST',
    path: '/v1/backup-schedules',
    summary: 'Back an instance up by the clock, and delete what need not be kept',
    access: { scope: 'project', role: 'operator' },
    body: CreateBackupSchedule,
    ok: BackupSchedule,
    status: 201,
  }),
  deleteBackupSchedule: route({
    method: 'DELETE',
    path: '/v1/backup-schedules/{id}',
    summary: 'Delete a schedule; its backups stay until they are deleted',
    access: { scope: 'project', role: 'operator' },
    params: idParams('schedule'),
    ok: Nothing,
  }),
};
