// What fronts call to read instances and to change what is desired of them. Each change is one transaction and answers at
// once; the reconciler of the host does the rest. Launching is in launch-instance.ts.
import { randomBytes } from 'node:crypto';
import type { DesiredReboot } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { HostId, InstanceId, OperationId } from '@virga/contract/ids';
import type { Instance, InstanceState } from '@virga/contract/rest/instances';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { fetchPage, type PageRequest } from '../../store/page.ts';
import { placeOn } from '../placement/placement.ts';
import { doomVolumes } from './device-store.ts';
import { conditionOf } from './instance.ts';
import { changeInstance, type InstanceChange, joinOperation, type Requester } from './instance-change.ts';
import { requireDisks } from './instance-disks.ts';
import { neededBy } from './instance-room.ts';
import { findInstance, type InstanceRow, selectInstances, toInstance } from './instance-store.ts';
import { refusal, transition, type Verb } from './instance-transition.ts';
import { refuseKept } from './kept-snapshots.ts';
import { mergesAtStart } from './memory-merging.ts';
import { cancelRootMove } from './root-disk-moves.ts';
import { hasTags } from './tag-filter.ts';

export { launchInstance } from './launch-instance.ts';

type RebootRequest = {
  hard?: boolean | undefined;
  mode?: DesiredReboot['how'] | undefined;
  timeoutSeconds?: number | undefined;
};
export type Changed = { instance: Instance; operationId: OperationId };
type ListRequest = PageRequest & {
  name?: string | undefined;
  state?: InstanceState | undefined;
  /** KEY or KEY=VALUE, all of which must be there. */
  tag?: string[] | undefined;
  hostId?: HostId | undefined;
};

/** How long a guest may take to shut down when nobody says otherwise. */
export const defaultStopSeconds = 60;

export async function listInstances(
  db: Db,
  access: ProjectAccess,
  { name, state, tag, hostId, ...page }: ListRequest,
): Promise<{ items: Instance[]; next?: string }> {
  let query = selectInstances(db).where('instances.project_id', '=', access.projectId);
  if (name !== undefined) query = query.where('instances.name', '=', name);
  if (state !== undefined) query = query.where('instances.state', '=', state);
  if (tag !== undefined && tag.length > 0) query = query.where(hasTags(tag));
  if (hostId !== undefined) query = query.where('instances.host_id', '=', hostId);
  return fetchPage(query, 'instances', page, (row) => toInstance(row as InstanceRow));
}

/** @throws NotFound */
export async function getInstance(db: Db, access: ProjectAccess, id: InstanceId): Promise<Instance> {
  return toInstance(await requireInstance(db, access, id));
}

/** @throws NotFound also for an instance of another project */
export async function requireInstance(db: Db | Tx, access: ProjectAccess, id: InstanceId): Promise<InstanceRow> {
  const row = await findInstance(db, id);
  if (row?.project_id === access.projectId) return row;
  throw new VirgaError('NotFound', {
    detail: `There is no instance ${id}.`,
    action: 'List instances with virga list.',
  });
}

/**
 * Starts an instance on its host; a hibernated one goes on where it was. A running one stays as it is and the operation
 * succeeds at once.
 * @param options.paused it stands still then, until it is resumed
 * @throws NoCapacity | HostUnavailable its host has no room, or is away
 * @throws Conflict it is paused, or being deleted
 * @throws HostIncapable | VolatileWriteCache its host would refuse one of its disks
 */
export async function startInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  ifMatch?: number,
  { paused = false }: { paused?: boolean | undefined } = {},
): Promise<Changed> {
  return change(deps, access, id, ifMatch, async (tx, row) => {
    const decision = await decideStart(deps, tx, access, row, { paused });
    if (typeof decision !== 'string') await requireDisks(tx, row);
    return decision;
  });
}

/**
 * What a start comes to: a change, or an operation that has it already.
 * @param options.isBack its host has just come back, which its row does not say yet
 */
export async function decideStart(
  deps: Pick<Deps, 'clock' | 'settings'>,
  tx: Tx,
  access: Requester,
  row: InstanceRow,
  { paused = false, isBack = false }: { paused?: boolean; isBack?: boolean } = {},
): Promise<InstanceChange | OperationId> {
  const todo = transition('start', conditionOf(row));
  if (todo === 'refuse') throw refused('start', row);
  if (paused && row.desired === 'running') throw runsAlready(row);
  if (todo !== 'change') return joinOperation(tx, access, row, 'instance.start', deps.clock.now());
  if (!row.allocated) await placeOn(tx, access, row.host_id, neededBy(row), { isBack });
  const merges = await mergesAtStart(deps, tx, access, row);
  return { kind: 'instance.start', set: { desired: paused ? 'paused' : 'running', allocated: true, merges } };
}

/**
 * Shuts the guest down by ACPI and cuts it off when the time is over. A stopped one stays as it is and the operation
 * succeeds at once; of two stops under way the earlier deadline counts, and both share one operation.
 */
export async function stopInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { timeoutSeconds = defaultStopSeconds }: { timeoutSeconds?: number | undefined } = {},
  ifMatch?: number,
): Promise<Changed> {
  const forceAt = new Date(deps.clock.now().getTime() + timeoutSeconds * 1000);
  return change(deps, access, id, ifMatch, (tx, row) => decideStop(deps, tx, access, row, 'instance.stop', forceAt));
}

/** Cuts the power at once, and gives saved memory up. The disk stays. */
export async function destroyInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  ifMatch?: number,
): Promise<Changed> {
  const forceAt = deps.clock.now();
  return change(deps, access, id, ifMatch, (tx, row) => decideStop(deps, tx, access, row, 'instance.destroy', forceAt));
}

/** What a stop comes to, as {@link decideStart}. */
export async function decideStop(
  deps: Pick<Deps, 'clock'>,
  tx: Tx,
  access: Requester,
  row: InstanceRow,
  kind: string,
  forceAt: Date,
): Promise<InstanceChange | OperationId> {
  const verb = kind === 'instance.destroy' ? 'destroy' : 'stop';
  const todo = transition(verb, conditionOf(row));
  if (todo === 'refuse') throw refused(verb, row);
  if (todo === 'change') return { kind, set: { desired: 'stopped', force_at: forceAt } };
  const isEarlier = todo === 'join' && (row.force_at === null || forceAt < row.force_at);
  return joinOperation(tx, access, row, kind, deps.clock.now(), isEarlier ? { force_at: forceAt } : undefined);
}

/**
 * Reboots the guest: by ACPI, by its guest agent, by reset at once, or by a power cycle, which is a stop and a start.
 * @param options.timeoutSeconds how long a power cycle waits for the guest before it cuts it off
 * @throws Conflict it does not run
 */
export async function rebootInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { hard = false, mode = 'acpi', timeoutSeconds = defaultStopSeconds }: RebootRequest = {},
  ifMatch?: number,
): Promise<Changed> {
  const forceAt = new Date(deps.clock.now().getTime() + timeoutSeconds * 1000).toISOString();
  return change(deps, access, id, ifMatch, async (_tx, row) => decideReboot(row, hard ? 'reset' : mode, forceAt));
}

/** What a reboot comes to, as {@link decideStart}. */
export function decideReboot(row: InstanceRow, mode: DesiredReboot['how'], forceAt: string): InstanceChange {
  if (transition('reboot', conditionOf(row)) === 'refuse') throw refused('reboot', row);
  return { kind: 'instance.reboot', set: { reboot: newReboot(row, mode, forceAt) } };
}

/** Another reboot than any before, as the database takes it. */
export function newReboot(row: InstanceRow, how: DesiredReboot['how'], forceAt: string): string {
  const token = `${row.generation + 1}-${randomBytes(6).toString('hex')}`;
  return JSON.stringify({ token, how, ...(how === 'cycle' && { forceAt }) } satisfies DesiredReboot);
}

/**
 * Deletes the instance with its disk and address, as soon as its host can be reached. Volumes stay, unless they are to go
 * with it.
 * @throws Conflict it is protected
 */
export async function deleteInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  ifMatch?: number,
  { withVolumes = false }: { withVolumes?: boolean | undefined } = {},
): Promise<Changed> {
  return change(deps, access, id, ifMatch, async (tx, row) => {
    const decision = await decideDelete(deps, tx, access, row);
    if (withVolumes) await doomVolumes(tx, access, id);
    return decision;
  });
}

/** What a deletion comes to, as {@link decideStart}. @throws Conflict it is protected */
export async function decideDelete(
  deps: Pick<Deps, 'clock'>,
  tx: Tx,
  access: Requester,
  row: InstanceRow,
): Promise<InstanceChange | OperationId> {
  const isChange = transition('delete', conditionOf(row)) === 'change';
  if (!isChange) return joinOperation(tx, access, row, 'instance.delete', deps.clock.now());
  if (row.delete_protection && row.desired !== 'deleted') throw isProtected(row);
  await refuseKept(tx, row);
  await cancelRootMove(tx, row);
  return { kind: 'instance.delete', set: { desired: 'deleted' } };
}

/** Decides about a row that is held, and makes the decision so. */
export async function change(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  ifMatch: number | undefined,
  decide: (tx: Tx, row: InstanceRow) => Promise<InstanceChange | OperationId>,
): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
    const row = await requireInstance(tx, access, id);
    if (ifMatch !== undefined && ifMatch !== row.generation) throw changedMeanwhile(row);
    const decision = await decide(tx, row);
    const operationId = await carryOut(deps, tx, access, row, decision);
    return { instance: toInstance((await findInstance(tx, id))!), operationId };
  });
}

/** Makes a decision so. The row must be held. */
export async function carryOut(
  deps: Pick<Deps, 'clock'>,
  tx: Tx,
  access: Requester,
  row: InstanceRow,
  decision: InstanceChange | OperationId,
): Promise<OperationId> {
  return typeof decision === 'string' ? decision : changeInstance(tx, access, row, decision, deps.clock.now());
}

function isProtected({ name }: InstanceRow): VirgaError {
  return new VirgaError('Conflict', {
    detail: `Instance ${name} is protected from being deleted.`,
    action: `Take the protection away first: virga set ${name} --no-protect.`,
  });
}

export const refused = (verb: Verb, row: InstanceRow): VirgaError =>
  refusal(verb, row.name, conditionOf(row), row.state);

function runsAlready({ name }: InstanceRow): VirgaError {
  return new VirgaError('Conflict', {
    detail: `Instance ${name} runs already, or is about to.`,
    action: `Pause it with virga suspend ${name}.`,
    field: '/paused',
  });
}

export function changedMeanwhile(row: InstanceRow): VirgaError {
  return new VirgaError('PreconditionFailed', {
    detail: `Instance ${row.name} has changed since it was read: it is at generation ${row.generation}.`,
    action: 'Read it again, and repeat the request if it still makes sense.',
  });
}
