// Who has which CPU of a host, from what is written down, beside which thread of which guest runs where, as the host sees it
// now. Changes nothing.
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import type { CpuPool, HostCpuReport } from '@virga/contract/rest/host-cpus';
import type { CloudAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { getHost } from '../hosts/host-operations.ts';

/** @throws NotFound | HostUnavailable */
export async function hostCpuReport(
  { db, agents }: Deps,
  access: CloudAccess,
  id: HostId,
  sampleMs: number,
  signal: AbortSignal,
): Promise<HostCpuReport> {
  const host = await getHost(db, access, id);
  if (host.facts === null) {
    throw new VirgaError('HostUnavailable', {
      detail: `Host ${host.name} has not said yet what it is.`,
      action: 'Try again in a moment.',
    });
  }
  const map = await agents.agentOf(id).cpuMap(sampleMs, { signal });
  const [row, held, instances] = await Promise.all([
    db
      .selectFrom('hosts')
      .select(['reserved_cpus', 'cpu_generation', 'cpu_converged_generation'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow(),
    db.selectFrom('host_cpus').selectAll().where('host_id', '=', id).execute(),
    db.selectFrom('instances').select(['id', 'name', 'project_id']).where('host_id', '=', id).execute(),
  ]);
  const nameOf = new Map(instances.map((instance) => [instance.id, instance]));
  const holders = new Map(held.map((holder) => [holder.cpu, holder]));
  const busy = new Map(map.cpus.map(({ id: cpu, busyPercent }) => [cpu, busyPercent]));
  return {
    hostId: id,
    hostName: host.name,
    sampleMs: map.sampleMs,
    converged: row.cpu_generation === row.cpu_converged_generation,
    cpus: host.facts.cpus.map((cpu) => {
      const holder = holders.get(cpu.id);
      const owner = holder && nameOf.get(holder.instance_id);
      const pool: CpuPool = holder
        ? 'dedicated'
        : row.reserved_cpus.includes(cpu.id)
          ? 'reserved'
          : cpu.isolated
            ? 'isolated'
            : 'shared';
      return {
        ...cpu,
        pool,
        owner: owner ? { instanceId: owner.id, name: owner.name, projectId: owner.project_id } : null,
        vcpu: holder?.vcpu ?? null,
        busyPercent: busy.get(cpu.id) ?? 0,
      };
    }),
    guests: map.guests.map(({ instanceId, domainName, pid, threads }) => {
      const instance = instanceId === null ? undefined : nameOf.get(instanceId);
      return { instanceId: instance?.id ?? null, name: instance?.name ?? domainName, pid, threads };
    }),
  };
}
