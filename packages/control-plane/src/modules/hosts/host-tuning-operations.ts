// What fronts call to tune hosts, to see how they are tuned, and to take that back. A change is one transaction; the
// reconciler of the host does the rest. Looking asks the host.
import type { DesiredTuning, TuningPlan } from '@virga/contract/agent/host-tuning';
import { VirgaError } from '@virga/contract/errors';
import type { HostId, OperationId } from '@virga/contract/ids';
import type { TunedHost, TuneHost } from '@virga/contract/rest/host-tuning';
import { type CloudAccess, projectOf } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { createOperation, endOperation } from '../operations/operation-store.ts';
import { getHost } from './host-operations.ts';
import { findTuning, openTunings, type TuningKind, toTunedHost, tuningText } from './host-tuning-store.ts';

type Changed = { tuning: TunedHost; operationId: OperationId };

/** @throws NotFound */
export async function getHostTuning(
  deps: Deps,
  access: CloudAccess,
  id: HostId,
  signal?: AbortSignal,
): Promise<{ tuning: TunedHost; seen: TuningPlan | null }> {
  const host = await getHost(deps.db, access, id);
  const row = await findTuning(deps.db, id);
  const seen = await deps.agents
    .agentOf(id)
    .observedTuning(row?.settled ?? null, { signal })
    .catch((error) => {
      if (error instanceof VirgaError && error.code === 'HostUnavailable') return null;
      throw error;
    });
  return { tuning: toTunedHost(host, row), seen };
}

/** @throws NotFound | HostUnavailable | HostSettingRefused the host does not have what was asked for by name */
export async function planHostTuning(
  deps: Deps,
  access: CloudAccess,
  id: HostId,
  tuning: TuneHost | null,
  signal?: AbortSignal,
): Promise<TuningPlan> {
  await getHost(deps.db, access, id);
  return planned(deps, id, tuning && desiredOf(tuning), signal);
}

const planned = (deps: Deps, id: HostId, desired: DesiredTuning | null, signal?: AbortSignal): Promise<TuningPlan> =>
  deps.agents.agentOf(id).planTuning(desired, { signal });

const desiredOf = ({ profile, overrides = {} }: TuneHost): DesiredTuning => ({ profile, overrides });

/** A host that refuses stays as it is, and the operation says why. @throws NotFound */
export const tuneHost = (deps: Deps, access: CloudAccess<'admin'>, id: HostId, tuning: TuneHost): Promise<Changed> =>
  change(deps, access, id, 'host.tune', desiredOf(tuning));

/** @throws NotFound */
export const untuneHost = (deps: Deps, access: CloudAccess<'admin'>, id: HostId): Promise<Changed> =>
  change(deps, access, id, 'host.untune', null);

async function change(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: HostId,
  kind: TuningKind,
  desired: DesiredTuning | null,
): Promise<Changed> {
  const projectId = projectOf(access);
  const host = await getHost(deps.db, access, id);
  return inTransaction(deps.db, async (tx) => {
    await tx.selectFrom('hosts').select('id').where('id', '=', id).forUpdate().execute();
    await overtake(deps, access, tx, id, kind);
    const generation = ((await findTuning(tx, id))?.generation ?? 0) + 1;
    const asked = { generation, desired: desired && JSON.stringify(desired), failure: null };
    await tx
      .insertInto('host_tunings')
      .values({ host_id: id, ...asked, settled: null, boot_id: null, applied_at: null })
      .onConflict((conflict) => conflict.column('host_id').doUpdateSet(asked))
      .execute();
    const resource = { projectId, resourceId: id, resourceName: host.name };
    const operationId = await createOperation(tx, access, { kind, ...resource, generation });
    await appendEvent(tx, access, {
      type: `${kind}-requested`,
      ...resource,
      projectId: null,
      message:
        desired === null
          ? `Tuning of host ${host.name} is to be taken back.`
          : `Tuning of host ${host.name} was asked for: ${tuningText(desired)}.`,
      data: { ...desired },
    });
    await notify(tx, 'tunings', id);
    return { tuning: toTunedHost(host, await findTuning(tx, id)), operationId };
  });
}

/** Ends what an earlier request of the same kind is still waiting for. */
async function overtake(deps: Deps, access: CloudAccess<'admin'>, tx: Tx, id: HostId, by: string): Promise<void> {
  const error = new VirgaError('Conflict', {
    detail: `The operation was overtaken by ${by}.`,
    action: 'Nothing needs to be done; ask again if you still want it.',
  });
  for (const open of await openTunings(tx, id)) await endOperation(tx, access, open, { error }, deps.clock.now());
}
