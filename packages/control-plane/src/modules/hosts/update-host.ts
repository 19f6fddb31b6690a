// Changes how much of a host may be promised, and whose memory may be merged there. What is promised already stays so.
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import type { UpdateHost } from '@virga/contract/rest/host-memory';
import type { Host } from '@virga/contract/rest/hosts';
import type { CloudAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { getHost } from './host-operations.ts';
import { capacityColumns, type Policy } from './host-policy.ts';
import { recountVcpus } from './vcpu-capacity.ts';

/**
 * What is left out stays as it is; null is as the cloud has it. What is promised already is not taken back: a host that has
 * promised more than it may gets nothing more until there is room.
 * @throws NotFound | InvalidArgument nothing was given
 */
export async function updateHost(
  { db, settings }: Pick<Deps, 'db' | 'settings'>,
  access: CloudAccess<'admin'>,
  id: HostId,
  body: UpdateHost,
): Promise<Host> {
  const asked = Object.fromEntries(
    Object.entries({
      vcpu_overcommit: body.vcpuOvercommit,
      memory_overcommit: body.memoryOvercommit,
      memory_floor_mib: body.memoryFloorMib,
      ksm_scope: body.ksmScope,
    }).filter(([, value]) => value !== undefined),
  ) as Partial<Policy>;
  if (Object.keys(asked).length === 0) {
    throw new VirgaError('InvalidArgument', {
      detail: 'Nothing to set was given.',
      action: 'Give a ratio, a floor, or whose memory may be merged: virga hosts set --help.',
    });
  }
  const host = await getHost(db, access, id);
  await inTransaction(db, async (tx) => {
    const row = await tx.selectFrom('hosts').selectAll().where('id', '=', id).forUpdate().executeTakeFirstOrThrow();
    const policy = { ...row, ...asked };
    await tx
      .updateTable('hosts')
      .set({ ...asked, ...(row.facts && capacityColumns(row.facts, settings, policy)) })
      .where('id', '=', id)
      .execute();
    await recountVcpus(tx, id);
    await notify(tx, 'keepsakes', id);
    await appendEvent(tx, access, {
      type: 'host.changed',
      projectId: null,
      resourceId: id,
      resourceName: host.name,
      message: `What may be promised of host ${host.name} was changed.`,
      data: body,
    });
  });
  return getHost(db, access, id);
}
