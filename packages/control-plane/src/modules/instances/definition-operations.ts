// What fronts call about how a domain is defined: reading it, laying an overlay over it, and what becomes of changes that others
// make. A new overlay is tried by the host before anything is written.
import { randomBytes } from 'node:crypto';
import type { Definition, DefinitionEdit, OverlayPlan } from '@virga/contract/agent/definition';
import type { OverlayChange } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { Drift, DriftPolicy } from '@virga/contract/rest/definitions';
import type { Instance } from '@virga/contract/rest/instances';
import type { CloudAccess, ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { inTransaction } from '../../store/database.ts';
import { amendInstance } from './instance-change.ts';
import { changedMeanwhile, requireInstance } from './instance-operations.ts';
import {
  desiredInstanceOf,
  findInstance,
  findInstanceOrder,
  type InstanceOrder,
  toInstance,
} from './instance-store.ts';

export type OverlayRequest = {
  xml?: string | undefined;
  changes?: OverlayChange[] | undefined;
  dryRun?: boolean | undefined;
  restart?: boolean | undefined;
};
type Changed = { instance: Instance; operationId: OperationId };

/** How long a guest may take to shut down when it is restarted for its new definition. */
const restartSeconds = 60;

/** @throws NotFound | HostUnavailable */
export async function getDefinition(deps: Deps, _access: CloudAccess<'admin'>, id: InstanceId): Promise<Definition> {
  const row = await requireOrder(deps, id);
  return deps.agents.agentOf(row.host_id).definition(id);
}

/**
 * Lays an overlay over what is generated, in place of the one there is. It is in the definition at once, and in the guest when it
 * starts next.
 * @throws InvalidArgument libvirt would not take it; nothing has changed
 * @throws PreconditionFailed | Conflict the instance has changed meanwhile, or is being deleted
 */
export async function setOverlay(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: InstanceId,
  { xml, changes, dryRun, restart }: OverlayRequest,
  ifMatch?: number,
): Promise<OverlayPlan & { operationId: OperationId | null }> {
  const order = await requireOrder(deps, id);
  if (ifMatch !== undefined && ifMatch !== order.generation) throw changedMeanwhile(order);
  const edit = editOf(xml, changes);
  const plan = await deps.agents.agentOf(order.host_id).planOverlay(desiredInstanceOf(order, deps.cloudId), edit);
  if (dryRun) return { ...plan, operationId: null };
  return inTransaction(deps.db, async (tx) => {
    await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
    const row = await findInstance(tx, id);
    if (row?.generation !== order.generation) throw changedMeanwhile(row ?? order);
    const isRestarted = restart && row.desired === 'running';
    const operationId = await amendInstance(tx, access, row, {
      kind: 'instance.edit',
      set: {
        overlay: JSON.stringify(plan.overlay),
        ...(isRestarted && { reboot: JSON.stringify(restartNow(deps, row.generation + 1)) }),
      },
    });
    return { ...plan, operationId };
  });
}

/** @throws NotFound */
export async function getDrift(
  deps: Deps,
  access: ProjectAccess,
  id: InstanceId,
): Promise<{ policy: DriftPolicy; last: Drift | null }> {
  const { drift_policy: policy, drift } = await requireInstance(deps.db, access, id);
  if (drift === null) return { policy, last: null };
  const { seenAt, action, diff } = drift;
  return { policy, last: { seenAt, action, diff } };
}

/** @throws NotFound */
export async function setDriftPolicy(
  deps: Deps,
  access: ProjectAccess<'admin'>,
  id: InstanceId,
  policy: DriftPolicy,
): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
    const row = await requireInstance(tx, access, id);
    if (row.desired === 'deleted') throw beingDeleted(row.name);
    const change = { kind: 'instance.set-drift-policy', set: { drift_policy: policy } };
    const operationId = await amendInstance(tx, access, row, change);
    return { instance: toInstance((await findInstance(tx, id))!), operationId };
  });
}

async function requireOrder(deps: Deps, id: InstanceId): Promise<InstanceOrder> {
  const order = await findInstanceOrder(deps.db, id);
  if (order === undefined) {
    throw new VirgaError('NotFound', {
      detail: `There is no instance ${id}.`,
      action: 'List instances with virga list.',
    });
  }
  if (order.desired === 'deleted') throw beingDeleted(order.name);
  return order;
}

function editOf(xml: string | undefined, changes: OverlayChange[] | undefined): DefinitionEdit {
  if (xml !== undefined && changes === undefined) return { xml };
  if (changes !== undefined && xml === undefined) return { changes };
  throw new VirgaError('InvalidArgument', {
    detail: 'The request has both xml and changes, or neither.',
    action: 'Give the whole definition as xml, or the whole overlay as changes; no changes take the overlay away.',
    field: '/xml',
  });
}

const restartNow = ({ clock }: Deps, generation: number) => ({
  token: `${generation}-${randomBytes(6).toString('hex')}`,
  how: 'cycle',
  forceAt: new Date(clock.now().getTime() + restartSeconds * 1000).toISOString(),
});

const beingDeleted = (name: string) =>
  new VirgaError('Conflict', { detail: `Instance ${name} is being deleted.`, action: 'Launch another one.' });
