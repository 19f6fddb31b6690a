// Checks a backup store: whether all is there that backups need, and whether a share of it can be read. What is in it and belongs to
// no backup, such as what a killed server left, is removed; which backups there are is known before that.
import { VirgaError } from '@virga/contract/errors';
import type { ActContext } from '../../workflows/workflow.ts';
import { type Step, step, workflow } from '../../workflows/workflow.ts';
import { snapshotsOf } from './backup-rows.ts';
import { type ImportInput, importBackups } from './import-backups.ts';
import { accessOf, agentFor, requireStore } from './store-rows.ts';

type Input = ImportInput & { readPercent: number };
export const checkStoreKind = 'backup-store.check';

/** A backup that is being made is known, but not yet what is in the store of it. */
type Found = { sizeBytes: number };

export const checkStore = workflow<Input>({
  kind: checkStoreKind,
  isLong: true,
  steps: [
    { ...importBackups, act: (context) => importBackups.act!(context).catch(failNow) } as Step<Input>,
    step<Input>({
      message: 'removing what belongs to no backup',
      act: (context) => reapSnapshots(context).catch(failNow),
    }),
    step<Input, Found>({
      message: 'checking the backup store',
      act: async ({ deps, input, signal }) => {
        const { storeId, readPercent } = input;
        const row = await requireStore(deps.db, storeId);
        const check = agentFor(deps, row).checkBackupStore(accessOf(deps, row), { readPercent }, { signal });
        return check.catch(failNow);
      },
      record: async (tx, { deps, input }, { sizeBytes }) => {
        await tx
          .updateTable('backup_stores')
          .set({ state: 'available', state_reason: null, size_bytes: sizeBytes, checked_at: deps.clock.now() })
          .where('id', '=', input.storeId)
          .execute();
      },
    }),
  ],
  failed: async (tx, { deps, input }, error) => {
    const state = error.code === 'BackupUnusable' ? 'damaged' : 'unreachable';
    await tx
      .updateTable('backup_stores')
      .set({ state, state_reason: error.detail, checked_at: deps.clock.now() })
      .where('id', '=', input.storeId)
      .execute();
  },
});

async function reapSnapshots({ deps, input, signal }: ActContext<Input>): Promise<void> {
  const row = await requireStore(deps.db, input.storeId);
  const agent = agentFor(deps, row);
  // First what is there, then what is known: what comes between the two is not taken for a leftover.
  const snapshots = await agent.listStoreSnapshots(accessOf(deps, row), { signal });
  const backups = await deps.db.selectFrom('backups').selectAll().where('store_id', '=', row.id).execute();
  const pending = new Set<string>(backups.filter(({ state }) => state !== 'available').map(({ id }) => id));
  const known = new Set(backups.flatMap(snapshotsOf));
  const left = snapshots.filter(({ id, backupId }) => !known.has(id) && !pending.has(backupId ?? ''));
  if (left.length === 0) return;
  await agent.removeStoreSnapshots(
    accessOf(deps, row),
    left.map(({ id }) => id),
    { signal },
  );
  deps.log.info({ store: row.name, snapshots: left.length }, 'removed what belongs to no backup');
}

/** Nobody asks for a check to be told later. */
function failNow(error: unknown): never {
  if (!(error instanceof VirgaError) || error.code !== 'BackupStoreUnavailable') throw error;
  throw new VirgaError('OperationFailed', { detail: error.detail, action: error.action, cause: error });
}
