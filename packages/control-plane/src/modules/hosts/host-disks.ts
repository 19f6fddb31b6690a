// The disks of hosts, and the devices on which an administrator allows write-back in spite of what they say. Owns that list;
// what the disks are, the host is asked each time.
import { deviceKey } from '@virga/contract/agent/block-devices';
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import type { AllowedWriteback, HostDiskReport } from '@virga/contract/rest/host-disks';
import type { CloudAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { type Db, inTransaction, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { getHost } from './host-operations.ts';

type Allowance = { items: AllowedWriteback[] };

/** @throws NotFound | HostUnavailable */
export async function listHostDisks(deps: Deps, access: CloudAccess, id: HostId): Promise<HostDiskReport> {
  const { name } = await getHost(deps.db, access, id);
  const [found, allowedWriteback] = await Promise.all([deps.agents.agentOf(id).hostDisks(), readAllowed(deps.db, id)]);
  return { hostId: id, hostName: name, ...found, allowedWriteback };
}

/**
 * Allows write-back on a device under the storage of a host, by its name of today; it is remembered by what it keeps. Allowed
 * already is success.
 * @throws NotFound no such host, or its storage lies on no such device
 */
export async function allowVolatileWriteback(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  access: CloudAccess<'admin'>,
  id: HostId,
  device: string,
): Promise<Allowance> {
  const host = await getHost(db, access, id);
  const devices = host.facts?.storageDevices ?? [];
  const found = devices.find((one) => one.name === device || deviceKey(one) === device);
  if (found === undefined) {
    const names = devices.map(({ name }) => name).join(', ');
    throw new VirgaError('NotFound', {
      detail: `The storage of host ${host.name} lies on no device ${device}.`,
      action: names === '' ? 'What it lies on is unknown, and so nothing is refused there.' : `It lies on ${names}.`,
    });
  }
  await inTransaction(db, async (tx) => {
    const key = deviceKey(found);
    const inserted = await tx
      .insertInto('host_volatile_writeback')
      .values({
        host_id: id,
        device_key: key,
        device_name: found.name,
        allowed_by: access.actor.name,
        allowed_at: clock.now(),
      })
      .onConflict((conflict) => conflict.doNothing())
      .returning('device_key')
      .executeTakeFirst();
    if (!inserted) return;
    await notify(tx, 'keepsakes', id);
    await appendEvent(tx, access, {
      type: 'host.volatile-writeback-allowed',
      projectId: null,
      resourceId: id,
      resourceName: host.name,
      message: `Write-back was allowed on ${found.name} of host ${host.name}, of which this is known: ${found.why}`,
      data: { device: found.name, key, verdict: found.verdict },
    });
  });
  return { items: await readAllowed(db, id) };
}

/** Takes it back. What is not allowed is success. @throws NotFound no such host */
export async function forbidVolatileWriteback(
  { db }: Pick<Deps, 'db'>,
  access: CloudAccess<'admin'>,
  id: HostId,
  device: string,
): Promise<Allowance> {
  const host = await getHost(db, access, id);
  await inTransaction(db, async (tx) => {
    const removed = await tx
      .deleteFrom('host_volatile_writeback')
      .where('host_id', '=', id)
      .where((where) => where.or([where('device_key', '=', device), where('device_name', '=', device)]))
      .returning(['device_key', 'device_name'])
      .execute();
    await notify(tx, 'keepsakes', id);
    for (const { device_key: key, device_name: name } of removed) {
      await appendEvent(tx, access, {
        type: 'host.volatile-writeback-forbidden',
        projectId: null,
        resourceId: id,
        resourceName: host.name,
        message: `Write-back is no longer allowed on ${name} of host ${host.name}.`,
        data: { device: name, key },
      });
    }
  });
  return { items: await readAllowed(db, id) };
}

async function readAllowed(db: Db | Tx, id: HostId): Promise<AllowedWriteback[]> {
  const rows = await db
    .selectFrom('host_volatile_writeback')
    .selectAll()
    .where('host_id', '=', id)
    .orderBy('device_name')
    .execute();
  return rows.map((row) => ({
    device: row.device_name,
    key: row.device_key,
    allowedBy: row.allowed_by,
    allowedAt: row.allowed_at.toISOString(),
  }));
}
