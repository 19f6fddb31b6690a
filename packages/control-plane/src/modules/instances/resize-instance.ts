// Asks for another size, in one transaction with the room for it on the host. What the guest cannot take as it is now is
// refused before anything changes, or done by a power cycle that was asked for with it.
import { randomBytes } from 'node:crypto';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { InstanceType } from '@virga/contract/rest/hosts';
import type { ResizeInstance } from '@virga/contract/rest/instance-resize';
import type { Instance } from '@virga/contract/rest/instances';
import type { Selectable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';
import { resolveInstanceType } from '../hosts/instance-type-operations.ts';
import { demandOf, isNothing } from '../placement/demand.ts';
import { placeOn } from '../placement/placement.ts';
import { amendInstance, type InstanceChange, joinOperation } from './instance-change.ts';
import { type CpuColumns, planCpu } from './instance-cpu.ts';
import { change } from './instance-operations.ts';
import type { InstanceRow } from './instance-store.ts';
import { type PresentSize, planResize, type SizeChange } from './resize-plan.ts';
import { refuseRootMoving } from './root-disk-moves.ts';
import { requireRootRoom } from './root-pool.ts';

/** How long the guest may take to shut down for a restart. */
const shutDownMs = 60_000;
const kind = 'instance.resize';

/**
 * Changes vCPUs, memory and root disk, and the type's name with them. Grown is what the host has room for; what is shrunk is
 * given back once the guest has let go of it. Asking for the size that it has succeeds at once.
 * @throws NotFound type | InvalidArgument it makes no sense
 * @throws Conflict it cannot be done while it runs and `restart` is not set, or it is under way to another state
 * @throws NoCapacity | InstanceTypeTooLarge | HostUnavailable its host has no room, or is away
 */
export async function resizeInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { type, restart = false, ...sizes }: ResizeInstance,
  ifMatch?: number,
): Promise<{ instance: Instance; operationId: OperationId }> {
  return change(deps, access, id, ifMatch, async (tx, row) => {
    const power = powerOf(row, restart);
    const asked = { ...sizes, type: type === undefined ? undefined : await resolveInstanceType(tx, type) };
    const host = await tx.selectFrom('hosts').selectAll().where('id', '=', row.host_id).executeTakeFirstOrThrow();
    const plan = planResize(row, asked, {
      power: power === 'on' ? 'on' : 'off',
      mayRestart: restart,
      acceleration: (host.facts as HostFacts | null)?.acceleration.mode ?? 'tcg',
      hasVirtio: row.hardware === 'virtio',
      leastMemoryMib: await leastMemoryOf(tx, row),
    });
    const cpu = changeOfCpu(row, asked.type, plan.change);
    if (Object.keys({ ...plan.change, ...cpu }).length === 0 && power !== 'restarting') {
      return joinOperation(tx, access, row, kind, deps.clock.now());
    }
    const change = { ...plan.change, ...cpu };
    if ((change.disk_bytes ?? row.disk_bytes) !== row.disk_bytes) refuseRootMoving(row);
    await requireRootRoom(tx, row, change.disk_bytes ?? row.disk_bytes);
    const set = { ...change, ...(await takeRoom(tx, access, row, change, host)) };
    const data = { ...change, restart: plan.needsRestart };
    if (plan.needsRestart || power === 'restarting') return cycled(deps, row, set, data);
    return amendInstance(tx, access, row, { kind, set: { ...set, ...grown(row), failure: null, failures: 0 }, data });
  });
}

type CpuChange = Partial<CpuColumns & { cpu_wanted: null }>;

/** With another type come the policy, shares and cap of that type. Chosen CPUs are those of as many vCPUs as it had. */
function changeOfCpu(row: InstanceRow, type: InstanceType | undefined, { vcpus }: SizeChange): CpuChange {
  const wanted = type === undefined || type.name === row.type ? row : planCpu(type);
  return {
    ...(wanted.cpu_policy !== row.cpu_policy && { cpu_policy: wanted.cpu_policy }),
    ...(wanted.cpu_shares !== row.cpu_shares && { cpu_shares: wanted.cpu_shares }),
    ...(wanted.cpu_cap_percent !== row.cpu_cap_percent && { cpu_cap_percent: wanted.cpu_cap_percent }),
    ...(row.cpu_wanted && (vcpus ?? row.vcpus) !== row.vcpus && { cpu_wanted: null }),
  };
}

const grown = (row: InstanceRow) => ({ resized_generation: row.generation + 1 });

/** What it is started from again has the new size. One that is off, or comes back off, is only started. */
function cycled(
  { clock }: Pick<Deps, 'clock'>,
  row: InstanceRow,
  set: SizeChange & CpuChange,
  data: Record<string, unknown>,
): InstanceChange {
  const token = `${row.generation + 1}-${randomBytes(6).toString('hex')}`;
  const forceAt = new Date(clock.now().getTime() + shutDownMs).toISOString();
  const reboot = JSON.stringify({ token, how: 'cycle', forceAt });
  return { kind, set: { ...set, ...grown(row), reboot }, data };
}

/**
 * On: it is there and stays there. Off: it is started anew before it runs again. Restarting: nobody knows whether it comes up
 * with the size of before, so it is started once more.
 * @throws Conflict it is on its way to somewhere else
 */
function powerOf(row: InstanceRow, mayRestart: boolean): 'on' | 'off' | 'restarting' {
  const { desired, observed_state: observed, name } = row;
  if (row.origin === 'adopted') {
    throw conflict(`Instance ${name} was adopted, and its sizes are what its own definition says.`, [
      `Change the definition: virga edit ${name}.`,
    ]);
  }
  const isSettled = row.generation === row.converged_generation || row.failure !== null;
  const isCycled = row.reboot?.how === 'cycle' && !isSettled;
  const isThere = observed === 'running' || observed === 'paused';
  if ((desired === 'running' || desired === 'paused') && isThere && !isCycled) return 'on';
  if (desired === 'stopped' && (observed === 'stopped' || observed === 'absent') && isSettled) return 'off';
  const isFailed = row.failure !== null && row.converged_generation > 0;
  if (desired === 'running' && (isCycled ? mayRestart : isFailed)) return 'restarting';
  throw underWay(row, isCycled);
}

function underWay(row: InstanceRow, isCycled: boolean): VirgaError {
  const { name, desired } = row;
  if (desired === 'deleted') return conflict(`Instance ${name} is being deleted.`, ['Launch another one.']);
  if (desired === 'hibernated') {
    return conflict(`The memory of instance ${name} is saved at the size that it had.`, [
      `Let it run first: virga start ${name}.`,
    ]);
  }
  if (isCycled) {
    return conflict(`Instance ${name} is being restarted.`, [
      'Wait until it runs, or add --restart to restart it once more.',
    ]);
  }
  const state = desired === 'stopped' ? 'stopping' : 'starting';
  return conflict(`Instance ${name} is ${state}.`, [`Wait until that is done, then ask again.`]);
}

const conflict = (detail: string, [action]: [string]) => new VirgaError('Conflict', { detail, action });

async function leastMemoryOf(tx: Tx, { image_id }: InstanceRow): Promise<number> {
  if (image_id === null) return 0;
  const image = await tx
    .selectFrom('images')
    .select('minimum_memory_mib')
    .where('id', '=', image_id)
    .executeTakeFirst();
  return image?.minimum_memory_mib ?? 0;
}

/**
 * Takes what it needs more of its host; what it needs less is kept until the guest has given it back.
 * @throws NoCapacity | HostUnavailable | InstanceTypeTooLarge
 */
async function takeRoom(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  row: InstanceRow,
  { cpu_policy: policy = row.cpu_policy, ...change }: Partial<PresentSize> & CpuChange,
  host: Selectable<Database['hosts']>,
): Promise<Pick<InstanceRow, 'surplus_vcpus' | 'surplus_memory_mib'> | undefined> {
  const { vcpus = row.vcpus, memory_mib = row.memory_mib, huge_page_kib = row.huge_page_kib } = change;
  const wanted = demandOf(vcpus, memory_mib, huge_page_kib);
  if (vcpus > row.vcpus || memory_mib > row.memory_mib) refuseTooLarge(host, { vcpus, memory_mib: wanted.memoryMib });
  if (!row.allocated) return undefined;
  if (huge_page_kib !== row.huge_page_kib) throw otherPages(row);
  const heldVcpus = row.vcpus + row.surplus_vcpus;
  const heldMib = row.memory_mib + row.surplus_memory_mib;
  const more = demandOf(Math.max(0, vcpus - heldVcpus), Math.max(0, memory_mib - heldMib), huge_page_kib);
  const total = demandOf(Math.max(vcpus, heldVcpus), Math.max(memory_mib, heldMib), huge_page_kib);
  if (!isNothing(more) || policy !== row.cpu_policy) {
    await placeOn(tx, access, row.host_id, { ...more, cpu: { instanceId: row.id, policy, total } });
  }
  return {
    surplus_vcpus: Math.max(0, heldVcpus - vcpus),
    surplus_memory_mib: Math.max(0, heldMib - memory_mib),
  };
}

/** It would have to hold both kinds until it has been restarted. */
const otherPages = ({ name }: InstanceRow) =>
  new VirgaError('Conflict', {
    detail: `Instance ${name} is on, and cannot change between ordinary and huge pages.`,
    action: `Stop it first: virga stop ${name}.`,
    field: '/type',
  });

/** An instance does not leave its host, so what that could not hold when empty can never be. */
function refuseTooLarge(
  { name, schedulable_vcpus, schedulable_memory_mib }: Selectable<Database['hosts']>,
  { vcpus, memory_mib }: Pick<PresentSize, 'vcpus' | 'memory_mib'>,
): void {
  if (vcpus <= schedulable_vcpus && memory_mib <= schedulable_memory_mib) return;
  throw new VirgaError('InstanceTypeTooLarge', {
    detail: `It would need ${vcpus} vCPU and ${memory_mib} MiB; its host ${name} offers ${schedulable_vcpus} vCPU and ${schedulable_memory_mib} MiB.`,
    action: 'Ask for a smaller size, or launch it anew on a larger host.',
    field: vcpus > schedulable_vcpus ? '/vcpus' : '/memoryMib',
  });
}
