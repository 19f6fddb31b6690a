// How the CPUs of a host are divided, as its agent is told it, and the CPUs that a host keeps for itself.

import { formatCpuList } from '@virga/contract/agent/cpu-list';
import { type DesiredCpuPools, GuestCpuModel } from '@virga/contract/agent/cpu-map';
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import { Check } from 'typebox/value';
import type { CloudAccess } from '../../access/authorizer.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { getHost } from '../hosts/host-operations.ts';
import { divideAnew } from '../hosts/vcpu-capacity.ts';
import { readHostCpus } from './cpu-claims.ts';
import { coresOf, type HostCpus, sharedCpus } from './cpu-grant.ts';

/** In the settings of the cloud. */
export const guestModelKey = 'guest-cpu-model';

/** The CPU model of the cloud's guests; null: each host gives its own. */
export async function readGuestModel(db: Db | Tx): Promise<GuestCpuModel | null> {
  const row = await db.selectFrom('settings').select('value').where('key', '=', guestModelKey).executeTakeFirst();
  const model: unknown = row ? JSON.parse(row.value) : null;
  return Check(GuestCpuModel, model) ? model : null;
}

/** Every host is told. */
export async function writeGuestModel(tx: Tx, _access: CloudAccess<'admin'>, model: GuestCpuModel | null) {
  if (model === null) await tx.deleteFrom('settings').where('key', '=', guestModelKey).execute();
  else {
    const value = JSON.stringify(model);
    await tx
      .insertInto('settings')
      .values({ key: guestModelKey, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
  }
  await notify(tx, 'keepsakes');
  const hosts = await tx.selectFrom('hosts').select('id').orderBy('id').forUpdate().execute();
  for (const { id } of hosts) {
    await divideAnew(tx, id);
    await notify(tx, 'hosts', id);
  }
}

/** What the host is to be told, and what it has been told. */
export async function readPools(
  db: Db,
  id: HostId,
): Promise<{ pools: DesiredCpuPools; generation: number; convergedGeneration: number } | undefined> {
  const host = await db
    .selectFrom('hosts')
    .select(['reserved_cpus', 'cpu_generation', 'cpu_converged_generation'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (!host) return undefined;
  // What is read after the generation may be newer, and is told once more then.
  const held = await db.selectFrom('host_cpus').select('cpu').where('host_id', '=', id).orderBy('cpu').execute();
  const pools = {
    reserved: host.reserved_cpus,
    dedicated: held.map(({ cpu }) => cpu),
    guestModel: await readGuestModel(db),
  };
  return { pools, generation: host.cpu_generation, convergedGeneration: host.cpu_converged_generation };
}

/**
 * Sets which CPUs a host keeps for itself. Guests that share leave them at once.
 * @throws NotFound | InvalidArgument it has no such CPU, or would keep all
 * @throws InUse an instance has one of them, or the other thread of its core, for itself
 * @throws NoCapacity what is left would be too little for what its instances were promised
 */
export async function reserveCpus(
  db: Db,
  access: CloudAccess<'admin'>,
  id: HostId,
  cpus: readonly number[],
): Promise<{ reserved: number[] }> {
  const { name } = await getHost(db, access, id);
  const reserved = [...new Set(cpus)].sort((one, other) => one - other);
  await inTransaction(db, async (tx) => {
    const { reserved_cpus } = await tx
      .selectFrom('hosts')
      .select('reserved_cpus')
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirstOrThrow();
    if (`${reserved_cpus}` === `${reserved}`) return;
    const host = await readHostCpus(tx, id);
    refuseUnknown(name, host, reserved);
    await refuseHeld(tx, id, name, host, reserved);
    refuseTooMany(name, { ...host, reserved: new Set(reserved) });
    await tx
      .updateTable('hosts')
      .set({ reserved_cpus: JSON.stringify(reserved) })
      .where('id', '=', id)
      .execute();
    await divideAnew(tx, id);
    await notify(tx, 'hosts', id);
    await notify(tx, 'keepsakes', id);
    await appendEvent(tx, access, {
      type: 'host.cpus-reserved',
      projectId: null,
      resourceId: id,
      resourceName: name,
      message:
        reserved.length === 0
          ? `Host ${name} keeps no CPU for itself any more.`
          : `Host ${name} keeps the CPUs ${formatCpuList(reserved)} for itself.`,
      data: { reserved },
    });
  });
  return { reserved };
}

const field = '/cpus';

function refuseUnknown(name: string, { cpus }: HostCpus, reserved: readonly number[]): void {
  const unknown = reserved.filter((cpu) => !cpus.some(({ id }) => id === cpu));
  if (unknown.length === 0) return;
  throw new VirgaError('InvalidArgument', {
    detail: `Host ${name} has no CPU ${formatCpuList(unknown)}.`,
    action: `Name some of ${formatCpuList(cpus.map(({ id }) => id))}.`,
    field,
  });
}

async function refuseHeld(
  tx: Tx,
  id: HostId,
  name: string,
  { cpus }: HostCpus,
  reserved: readonly number[],
): Promise<void> {
  const touched = coresOf(cpus)
    .filter((core) => core.some((cpu) => reserved.includes(cpu.id)))
    .flat()
    .map((cpu) => cpu.id);
  if (touched.length === 0) return;
  const holder = await tx
    .selectFrom('host_cpus')
    .innerJoin('instances', 'instances.id', 'host_cpus.instance_id')
    .select(['instances.name', 'host_cpus.cpu'])
    .where('host_cpus.host_id', '=', id)
    .where('host_cpus.cpu', 'in', touched)
    .orderBy('host_cpus.cpu')
    .executeTakeFirst();
  if (!holder) return;
  throw new VirgaError('InUse', {
    detail: `Instance ${holder.name} has CPU ${holder.cpu} of host ${name} for itself.`,
    action: `Let it share, or stop it: virga pin ${holder.name} --policy shared.`,
    field,
  });
}

function refuseTooMany(name: string, host: HostCpus): void {
  const shared = sharedCpus(host).length;
  const promised = [...host.homes.values()].reduce((sum, { vcpus }) => sum + vcpus, host.homeless.vcpus);
  if (host.reserved.size === host.cpus.length) {
    throw new VirgaError('InvalidArgument', {
      detail: `Host ${name} would keep all its CPUs, and have none for guests.`,
      action: 'Leave some.',
      field,
    });
  }
  if (promised <= shared * host.vcpusPerCpu) return;
  throw new VirgaError('NoCapacity', {
    detail: `Instances that share the CPUs of host ${name} were promised ${promised} vCPU, and ${shared} CPUs would be left to them.`,
    action: 'Reserve fewer, or stop some of them.',
    field,
  });
}
