// Which hosts take disks that are to be read and written in a way of their own, from what the hosts say of themselves; their
// agents look again. A host that has not said anything yet is not known to refuse.
import type { DiskDriver } from '@virga/contract/agent/desired';
import { type DiskHost, type DrivenDisk, refuseDriver, refuseDriverOnHost } from '@virga/contract/agent/disk-driver';
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import { type Selectable, sql } from 'kysely';
import type { Tx } from '../../store/database.ts';
import type { Database } from '../../store/schema.ts';

type Row = Pick<Selectable<Database['hosts']>, 'id' | 'name' | 'facts'> & { allowed: string[] };

/** What is left out of both is as the host does it best. @returns null when nothing is said at all */
export function mergedDriver(...drivers: (DiskDriver | null | undefined)[]): DiskDriver | null {
  const merged: DiskDriver = Object.assign({}, ...drivers);
  return Object.keys(merged).length === 0 ? null : merged;
}

/** Of a query of hosts: keys of devices on which write-back is allowed. */
export const allowedDevices = sql<string[]>`(
  select coalesce(json_agg(w.device_key order by w.device_key), '[]'::json)
  from host_volatile_writeback w where w.host_id = hosts.id)`;

/** @throws InvalidArgument | HostIncapable | VolatileWriteCache this host may not have it */
export async function requireDriver(tx: Tx, hostId: HostId, disk: DrivenDisk): Promise<void> {
  refuseDriver(disk);
  const [host] = await selectHosts(tx).where('id', '=', hostId).execute();
  if (host) refuseDriverOnHost(disk, asDiskHost(host));
}

/**
 * The hosts that take such a disk; undefined when every host does.
 * @throws InvalidArgument | HostIncapable | VolatileWriteCache none does
 */
export async function hostsTaking(tx: Tx, disk: DrivenDisk): Promise<HostId[] | undefined> {
  refuseDriver(disk);
  const hosts = await selectHosts(tx).orderBy('name').execute();
  const refusals: VirgaError[] = [];
  const taking = hosts.filter((host) => {
    try {
      refuseDriverOnHost(disk, asDiskHost(host));
      return true;
    } catch (error) {
      if (!(error instanceof VirgaError)) throw error;
      refusals.push(error);
      return false;
    }
  });
  if (taking.length === 0 && refusals[0]) throw refusals[0];
  return refusals.length === 0 ? undefined : taking.map(({ id }) => id);
}

const selectHosts = (tx: Tx) => tx.selectFrom('hosts').select(['id', 'name', 'facts', allowedDevices.as('allowed')]);

// Facts of an earlier version say nothing of disks.
const asDiskHost = ({ name, facts, allowed }: Row): DiskHost => ({
  label: `Host ${name}`,
  abilities: facts?.diskAbilities,
  devices: facts?.storageDevices ?? [],
  allowed,
});
