// Puts an instance back to a snapshot: off, kept as it is when that was asked for, its disks put back, and on again if it was.
// From the disks on nothing is undone: they are as they were then.
import { setTimeout as delay } from 'node:timers/promises';
import type { ObservedSnapshot } from '@virga/contract/agent/snapshots';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, SnapshotId } from '@virga/contract/ids';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { type ActContext, type StepContext, step, workflow } from '../../workflows/workflow.ts';
import { carryOut, decideStart, decideStop, defaultStopSeconds } from '../instances/instance-operations.ts';
import { findInstance } from '../instances/instance-store.ts';
import { giveKeys } from '../volumes/volume-keys.ts';
import { revertSnapshotKind } from './revert-operations.ts';
import { findSnapshot, instanceOf, resourceOf, snapshotNotFound } from './snapshot-store.ts';
import { recordTaken, takeOnHost } from './take-snapshot.workflow.ts';

type Input = {
  snapshotId: SnapshotId;
  /** The same whenever a step is repeated, another one for each revert. */
  token: string;
  /** The snapshot that keeps how it was; null: nobody wants that. */
  keptId: SnapshotId | null;
  /** It was on, and is to be on again. */
  starts: boolean;
  /** It stood still. */
  paused: boolean;
};

const lookAgainMs = 200;

export const revertSnapshotWorkflow = workflow<Input>({
  kind: revertSnapshotKind,
  steps: [
    step<Input>({ message: 'stopping the instance', act: stop }),
    step<Input, ObservedSnapshot | undefined>({
      message: 'keeping how it is now',
      act: async (context) => {
        const { keptId } = context.input;
        return keptId === null ? undefined : takeOnHost({ ...context, input: { snapshotId: keptId } });
      },
      record: async (tx, context, taken) => {
        const { keptId } = context.input;
        if (keptId !== null && taken) await recordTaken(tx, { ...context, input: { snapshotId: keptId } }, taken);
      },
    }),
    step<Input>({ message: 'putting the disks back', act: putBack, record: recordReverted }),
  ],
  failed: async (tx, { input }) => {
    if (input.keptId === null) return;
    await tx.deleteFrom('snapshots').where('id', '=', input.keptId).where('state', '=', 'creating').execute();
  },
});

/** Asks once, and waits until its host has done it. */
async function stop({ deps, access, input, signal }: ActContext<Input>): Promise<void> {
  const { instance_id: id } = await requireSnapshot(deps, input);
  for (;;) {
    const isOff = await inTransaction(deps.db, async (tx) => {
      await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
      const row = await findInstance(tx, id);
      if (row === undefined || row.desired === 'deleted') throw snapshotNotFound(input.snapshotId);
      if (row.desired !== 'stopped') {
        const forceAt = new Date(deps.clock.now().getTime() + defaultStopSeconds * 1000);
        await carryOut(deps, tx, access, row, await decideStop(deps, tx, access, row, 'instance.stop', forceAt));
        return false;
      }
      return row.observed_state === 'stopped' && row.converged_generation === row.generation;
    });
    if (isOff) return;
    await delay(lookAgainMs, undefined, { signal });
  }
}

async function putBack({ deps, input, signal, onProgress }: ActContext<Input>): Promise<void> {
  const row = await requireSnapshot(deps, input);
  const asked = { id: row.id, cloudId: deps.cloudId, instance: instanceOf(row), token: input.token };
  await giveKeys(deps, { instanceId: row.instance_id }, signal);
  await deps.agents.agentOf(row.host_id).revertSnapshot(asked, { signal, onProgress });
}

async function recordReverted(tx: Tx, { deps, access, input }: StepContext<Input>): Promise<void> {
  const row = await findSnapshot(tx, input.snapshotId);
  if (row === undefined) return;
  await appendEvent(tx, access, {
    type: 'snapshot.reverted',
    ...resourceOf(row),
    message: `Instance ${row.instance_name} is as snapshot ${row.name} has kept it.`,
    data: { instanceId: row.instance_id },
  });
  if (!input.starts && !row.memory) return;
  await tx.selectFrom('instances').select('id').where('id', '=', row.instance_id).forUpdate().execute();
  const instance = await findInstance(tx, row.instance_id as InstanceId);
  if (instance === undefined || instance.desired === 'deleted') return;
  try {
    await carryOut(
      deps,
      tx,
      access,
      instance,
      await decideStart(deps, tx, access, instance, { paused: input.paused && !row.memory }),
    );
  } catch (error) {
    // The room may have been given away meanwhile: it is back, and off.
    if (!(error instanceof VirgaError)) throw error;
    await appendEvent(tx, access, {
      type: 'instance.start-refused',
      projectId: row.project_id,
      resourceId: row.instance_id,
      resourceName: row.instance_name,
      message: `Instance ${row.instance_name} was put back to snapshot ${row.name}, and cannot be started: ${error.detail}`,
    });
  }
}

async function requireSnapshot(deps: Deps, { snapshotId }: Input) {
  const row = await findSnapshot(deps.db, snapshotId);
  if (row === undefined) throw snapshotNotFound(snapshotId);
  return row;
}
