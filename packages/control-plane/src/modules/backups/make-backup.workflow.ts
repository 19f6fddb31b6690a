// Makes a backup of an instance on its host. One that fails, or is given up, is gone again: on the host, and its row. What the clock
// asked for is followed by what its schedule says is to be deleted.
import type { FinishedBackup } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import type { BackupId } from '@virga/contract/ids';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Cancellation, untilCancelled } from '../../workflows/until-cancelled.ts';
import { type ActContext, startWorkflow, step, workflow } from '../../workflows/workflow.ts';
import { endFreezeGuard, guardFreeze } from '../instances/guest-freeze.ts';
import { findInstance } from '../instances/instance-store.ts';
import { giveKeys } from '../volumes/volume-keys.ts';
import { type BackupRow, findBackup, findParent, resourceOf } from './backup-rows.ts';
import { keptBackup } from './kept-backup.ts';
import { retainBackupsKind } from './retain-backups.workflow.ts';
import { accessOf, requireStore } from './store-rows.ts';

type Input = { backupId: BackupId };
export const makeBackupKind = 'backup.create';

const frozenAtMostMs = 60_000;

export const makeBackup = workflow<Input>({
  kind: makeBackupKind,
  isLong: true,
  steps: [
    step<Input, FinishedBackup & { parentId: BackupId | null }>({
      message: 'backing the instance up',
      act: (context) => untilCancelled(context, givingUp(context), (signal) => make(context, signal)),
      record: async (tx, { access, input }, made) => {
        const { fullReason, takenAt, frozen, disks, addedBytes, settingsSnapshotId, parentId } = made;
        await tx
          .updateTable('backups')
          .set({
            ...{ state: 'available', full_reason: fullReason, parent_id: fullReason === null ? parentId : null },
            ...{ recorded: fullReason !== 'off', frozen, taken_at: new Date(takenAt), disks: JSON.stringify(disks) },
            ...{ added_bytes: addedBytes, settings_snapshot_id: settingsSnapshotId },
          })
          .where('id', '=', input.backupId)
          .execute();
        const row = (await findBackup(tx, input.backupId))!;
        if (fullReason !== 'chain-broken' && fullReason !== 'disks-changed') return;
        await appendEvent(tx, access, {
          ...{ type: 'backup.chain-broken', ...resourceOf(row) },
          message: `The backup of ${row.instance_name} has everything in it, because ${reasons[fullReason]}.`,
          data: { fullReason },
        });
      },
      undo: ({ deps, input }) => end(deps, input.backupId, false),
    }),
    step<Input>({
      message: 'cleaning up',
      act: ({ deps, input }) => end(deps, input.backupId, true),
      record: async (tx, { access, input }) => {
        const row = await findBackup(tx, input.backupId);
        if (!row?.schedule_id) return;
        await startWorkflow(tx, access, retainBackupsKind, resourceOf(row), { scheduleId: row.schedule_id });
      },
    }),
  ],
  failed: async (tx, { input }) => {
    await tx.deleteFrom('backups').where('id', '=', input.backupId).execute();
  },
});

const reasons = {
  'chain-broken': 'what had changed since the one before is not known any more',
  'disks-changed': 'the instance has other disks than before, or of another size',
};

const givingUp = ({ deps, input: { backupId } }: ActContext<Input>): Cancellation => ({
  ...{ channel: 'backups', id: backupId, error: givenUp },
  isCancelled: async () => (await findBackup(deps.db, backupId))?.cancelled ?? false,
});

async function make(
  { deps, input, onProgress }: ActContext<Input>,
  signal: AbortSignal,
): Promise<FinishedBackup & { parentId: BackupId | null }> {
  const row = await requireRow(deps, input.backupId);
  const store = await requireStore(deps.db, row.store_id);
  const instance = await findInstance(deps.db, row.instance_id);
  if (instance === undefined) throw gone(row);
  const parent = await findParent(deps.db, row.instance_id, row.store_id);
  const recorded = await deps.db
    .selectFrom('backups')
    .select(['id', 'store_id'])
    .distinctOn('store_id')
    .where('instance_id', '=', row.instance_id)
    .where('recorded', '=', true)
    .orderBy('store_id')
    .orderBy('taken_at', 'desc')
    .execute();
  const { id, uuid, domain_name: domainName, volumes } = instance;
  await giveKeys(deps, { instanceId: id }, signal);
  const guard = row.freezes ? await guardFreeze(deps, id, frozenAtMostMs) : null;
  let goesOn = false;
  try {
    const made = await deps.agents.agentOf(instance.host_id).makeBackup(
      {
        ...{ id: row.id, cloudId: deps.cloudId, store: accessOf(deps, store), instance: { id, uuid, domainName } },
        parent: parent === undefined ? null : { id: parent.id, disks: parent.disks },
        ...{ full: row.full_asked, freezes: row.freezes },
        leavesOut: volumes.filter(({ scratch }) => scratch).map((volume) => volume.id),
        kept: recorded.map((backup) => backup.id),
        keepsake: await keptBackup(deps.db, row),
      },
      {
        signal,
        onProgress: (message, percent) => {
          // The disks are read for long after that moment.
          if (!goesOn) void endFreezeGuard(deps, id, guard).catch(() => undefined);
          goesOn = true;
          onProgress(message, percent);
        },
      },
    );
    return { ...made, parentId: parent?.id ?? null };
  } finally {
    await endFreezeGuard(deps, id, guard);
  }
}

async function end(deps: Deps, backupId: BackupId, made: boolean): Promise<void> {
  const row = await requireRow(deps, backupId);
  const instance = await findInstance(deps.db, row.instance_id);
  const uuid = instance?.uuid ?? row.instance_id;
  await deps.agents
    .agentOf(row.host_id)
    .endBackup({ id: backupId, cloudId: deps.cloudId, instance: { id: row.instance_id, uuid }, made });
}

async function requireRow({ db }: Deps, id: BackupId): Promise<BackupRow> {
  const row = await findBackup(db, id);
  if (row === undefined) throw new Error(`backup ${id} has no row`);
  return row;
}

const gone = ({ instance_name: name }: BackupRow) =>
  new VirgaError('NotFound', {
    detail: `Instance ${name} was deleted before it was backed up.`,
    action: 'Nothing: what there was before is still there. See virga backups list.',
  });

const givenUp = (cause: unknown) =>
  new VirgaError('Conflict', { detail: 'The backup was given up.', action: 'Nothing: it was asked for.', cause });
