// Asks for another way to run the vCPUs of an instance, in one transaction with the CPUs that it takes or gives back. Its host
// moves a running guest without a restart. What it is given it has at once; what others gave up for it they leave as soon as
// their host is told.
import { hostIncapable } from '@virga/contract/agent/host-features';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { ChangeCpu, PinCpus } from '@virga/contract/rest/instance-cpu';
import type { Instance } from '@virga/contract/rest/instances';
import type { CloudAccess, ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { isExclusive } from '../placement/cpu-grant.ts';
import { demandOf } from '../placement/demand.ts';
import { placeOn } from '../placement/placement.ts';
import { amendInstance, joinOperation, type Requester } from './instance-change.ts';
import type { CpuColumns } from './instance-cpu.ts';
import { change, changedMeanwhile } from './instance-operations.ts';
import { findInstance, type InstanceRow, toInstance } from './instance-store.ts';

type Changed = { instance: Instance; operationId: OperationId };
type Wanted = CpuColumns & Pick<InstanceRow, 'cpu_wanted'>;

const kind = 'instance.change-cpu';

/**
 * Changes policy, shares and cap. CPUs that an administrator had chosen for it are let go with another policy.
 * @throws NoCapacity its host has not the CPUs for that | HostIncapable | HostUnavailable
 * @throws Conflict it is being deleted, or was adopted | InvalidArgument nothing was asked for
 */
export async function changeCpu(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { policy, shares, capPercent }: ChangeCpu,
  ifMatch?: number,
): Promise<Changed> {
  if (policy === undefined && shares === undefined && capPercent === undefined) throw nothingAsked();
  return change(deps, access, id, ifMatch, async (tx, row) =>
    decideCpu(deps, tx, access, row, {
      cpu_policy: policy ?? row.cpu_policy,
      cpu_shares: shares === undefined ? row.cpu_shares : shares,
      cpu_cap_percent: capPercent === undefined ? row.cpu_cap_percent : capPercent,
      cpu_wanted: policy === undefined ? row.cpu_wanted : null,
    }),
  );
}

/**
 * Gives an instance of any project these CPUs for itself, one for each vCPU, with the rest of their cores. They are also
 * what it is started with from then on.
 * @throws InvalidArgument not one for each vCPU, or its host has no such CPU, or keeps it for itself
 * @throws NoCapacity somebody has one of them | NotFound | Conflict | HostUnavailable
 */
export async function pinInstance(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: InstanceId,
  { cpus }: PinCpus,
  ifMatch?: number,
): Promise<Changed> {
  return inTransaction(deps.db, async (tx) => {
    await tx.selectFrom('instances').select('id').where('id', '=', id).forUpdate().execute();
    const row = await findInstance(tx, id);
    if (!row) {
      throw new VirgaError('NotFound', {
        detail: `There is no instance ${id}.`,
        action: 'List instances with virga list.',
      });
    }
    if (ifMatch !== undefined && ifMatch !== row.generation) throw changedMeanwhile(row);
    await refuseUnusable(tx, row, cpus);
    const cpu_policy = isExclusive(row.cpu_policy) ? row.cpu_policy : 'dedicated';
    const operationId = await decideCpu(deps, tx, access, row, { ...row, cpu_policy, cpu_wanted: [...cpus] });
    return { instance: toInstance((await findInstance(tx, id))!), operationId };
  });
}

async function decideCpu(
  { clock }: Pick<Deps, 'clock'>,
  tx: Tx,
  access: Requester,
  row: InstanceRow,
  { cpu_policy, cpu_shares, cpu_cap_percent, cpu_wanted }: Wanted,
): Promise<OperationId> {
  refuseUnchangeable(row);
  const wanted: Wanted = { cpu_policy, cpu_shares, cpu_cap_percent, cpu_wanted };
  if (Object.entries(wanted).every(([name, value]) => `${value}` === `${row[name as keyof Wanted]}`)) {
    return joinOperation(tx, access, row, kind, clock.now());
  }
  await refuseIncapable(tx, row, wanted);
  const isMoved = cpu_policy !== row.cpu_policy || `${cpu_wanted}` !== `${row.cpu_wanted}`;
  if (row.allocated && isMoved) {
    const memoryMib = row.memory_mib + row.surplus_memory_mib;
    const total = demandOf(row.vcpus + row.surplus_vcpus, memoryMib, row.huge_page_kib);
    const cpu = { instanceId: row.id, policy: cpu_policy, hostCpus: cpu_wanted, total };
    await placeOn(tx, access, row.host_id, { vcpus: 0, memoryMib: 0, cpu });
  }
  const set = { ...wanted, cpu_wanted: cpu_wanted && JSON.stringify(cpu_wanted), failure: null, failures: 0 };
  return amendInstance(tx, access, row, { kind, set, data: { ...wanted } });
}

/** @throws Conflict */
function refuseUnchangeable({ name, desired, origin }: InstanceRow): void {
  if (desired === 'deleted') {
    throw new VirgaError('Conflict', {
      detail: `Instance ${name} is being deleted.`,
      action: 'Launch another one.',
    });
  }
  if (origin === 'launched') return;
  throw new VirgaError('Conflict', {
    detail: `Instance ${name} was adopted, and its vCPUs run as its own definition says.`,
    action: `Change the definition: virga edit ${name}.`,
  });
}

/** @throws HostIncapable */
async function refuseIncapable(tx: Tx, row: InstanceRow, { cpu_shares, cpu_cap_percent }: Wanted): Promise<void> {
  if (cpu_shares === null && cpu_cap_percent === null) return;
  const { name, facts } = await hostOf(tx, row);
  if (facts?.features?.includes('cpu-limits') === false) throw hostIncapable(`Host ${name}`, 'cpu-limits');
}

/** What can be said before anybody's CPUs are looked at. @throws InvalidArgument | Conflict */
async function refuseUnusable(tx: Tx, row: InstanceRow, cpus: readonly number[]): Promise<void> {
  const { name, facts, reserved_cpus: reserved } = await hostOf(tx, row);
  const field = '/cpus';
  const refuse = (detail: string, action: string) => new VirgaError('InvalidArgument', { detail, action, field });
  if (row.surplus_vcpus > 0) {
    throw new VirgaError('Conflict', {
      detail: `The guest of ${row.name} still has more vCPUs than it is to have.`,
      action: `Restart it first: virga reboot --mode cycle ${row.name}.`,
    });
  }
  if (cpus.length !== row.vcpus) {
    throw refuse(
      `Instance ${row.name} has ${row.vcpus} vCPU, and ${cpus.length} CPUs were named.`,
      'Name one for each.',
    );
  }
  const unknown = cpus.filter((cpu) => !facts?.cpus.some(({ id }) => id === cpu));
  if (unknown.length > 0) {
    throw refuse(`Host ${name} has no CPU ${unknown.join(', ')}.`, `See which it has: virga hosts cpus ${name}.`);
  }
  const kept = cpus.filter((cpu) => reserved.includes(cpu));
  if (kept.length === 0) return;
  throw refuse(
    `Host ${name} keeps CPU ${kept.join(', ')} for itself.`,
    `Name others, or reserve less: virga hosts reserve-cpus ${name}.`,
  );
}

const hostOf = (tx: Tx, { host_id }: InstanceRow) =>
  tx.selectFrom('hosts').select(['name', 'facts', 'reserved_cpus']).where('id', '=', host_id).executeTakeFirstOrThrow();

const nothingAsked = () =>
  new VirgaError('InvalidArgument', {
    detail: 'No other policy, shares or cap was asked for.',
    action: 'Give one of them.',
  });
