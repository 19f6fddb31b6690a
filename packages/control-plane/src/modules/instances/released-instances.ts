// What an instance that was given back still has of ours: the addresses of its cards, and a disk that rests on an image.
// Kept until its domain no longer exists, or is adopted again. Writes the tables of released instances.
import type { HostId, NetworkId, NetworkInterfaceId } from '@virga/contract/ids';
import { sql } from 'kysely';
import type { SystemAccess, WriteAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { freeAddress, holdAddress, leaseKnownAddress } from '../networks/address-store.ts';
import type { InstanceRow } from './instance-store.ts';

/** To be called before the rows of the instance go. */
export async function recordReleased(tx: Tx, access: WriteAccess, row: InstanceRow, now: Date): Promise<void> {
  await tx
    .insertInto('released_instances')
    .values({
      id: row.id,
      project_id: row.project_id,
      host_id: row.host_id,
      image_id: row.image_id,
      uuid: row.uuid,
      domain_name: row.domain_name,
      released_at: now,
    })
    .execute();
  for (const { networkId, mac, address } of row.nics) {
    await tx
      .insertInto('foreign_leases')
      .values({ network_id: networkId, address, mac, released_id: row.id })
      .execute();
    await holdAddress(tx, access, networkId, address);
  }
}

/**
 * The address for a card of a domain that is adopted: the one it kept, or the one it has, if nobody else holds that.
 * Undefined: it is not known, or taken.
 */
export async function takeForeignLease(
  tx: Tx,
  access: WriteAccess,
  {
    networkId,
    mac,
    address,
    nicId,
  }: {
    networkId: NetworkId;
    mac: string;
    address: string | null;
    nicId: NetworkInterfaceId;
  },
): Promise<string | undefined> {
  const kept = await tx
    .deleteFrom('foreign_leases')
    .where('network_id', '=', networkId)
    .where('mac', '=', mac)
    .returning(sql<string>`host(address)`.as('address'))
    .executeTakeFirst();
  if (kept) await freeAddress(tx, access, networkId, kept.address, new Date(0));
  const wanted = kept?.address ?? address;
  return wanted === null ? undefined : leaseKnownAddress(tx, access, { networkId, address: wanted, nicId });
}

/** The domain is an instance again. What it kept that is not the instance's now is free. */
export async function forgetReleased(tx: Tx, access: WriteAccess, hostId: HostId, uuid: string): Promise<void> {
  const row = await tx
    .selectFrom('released_instances')
    .select('id')
    .where('host_id', '=', hostId)
    .where('uuid', '=', uuid)
    .executeTakeFirst();
  if (row) await remove(tx, access, row.id, new Date());
}

/** Ends what released instances kept whose domains are no longer on the host. */
export async function reapReleased(
  { deps, access }: { deps: Deps; access: SystemAccess },
  host: RegisteredHost,
): Promise<void> {
  const rows = await deps.db.selectFrom('released_instances').selectAll().where('host_id', '=', host.id).execute();
  if (rows.length === 0) return;
  const there = new Set((await host.agent.listForeignDomains()).map(({ uuid }) => uuid));
  for (const row of rows.filter(({ uuid }) => !there.has(uuid))) {
    // It may be an instance of another cloud, which is not told of, and still have its address.
    const isGone = await host.agent.inspectForeignDomain(deps.cloudId, row.uuid).then(
      () => false,
      (error: { code?: string }) => error.code === 'NotFound',
    );
    if (!isGone) continue;
    await inTransaction(deps.db, async (tx) => {
      if (!(await remove(tx, access, row.id, deps.clock.now()))) return;
      await appendEvent(tx, access, {
        type: 'instance.released-gone',
        projectId: row.project_id,
        resourceId: row.id,
        resourceName: row.domain_name,
        message: `The domain ${row.domain_name}, which had been released, is no longer on host ${host.name}: its addresses are free.`,
      });
    });
  }
}

async function remove(tx: Tx, access: WriteAccess, id: InstanceRow['id'], now: Date): Promise<boolean> {
  const leases = await tx
    .deleteFrom('foreign_leases')
    .where('released_id', '=', id)
    .returning(['network_id', sql<string>`host(address)`.as('address')])
    .execute();
  for (const { network_id, address } of leases) {
    await freeAddress(tx, access, network_id, address, now);
    await notify(tx, 'networks', network_id);
  }
  const removed = await tx.deleteFrom('released_instances').where('id', '=', id).executeTakeFirst();
  return removed.numDeletedRows > 0n;
}
