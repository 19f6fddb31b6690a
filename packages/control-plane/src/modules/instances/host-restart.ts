// What a restart of a host means for its instances, by their autostart policy. Looked at before anything else is done on the
// host, in one transaction that also remembers the boot: it has happened whole, or is done again. `restore` needs nothing
// here: what is desired has not changed, and the reconciler brings it back.
import { VirgaError } from '@virga/contract/errors';
import type { HostId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction, type Tx } from '../../store/database.ts';
import { overtakeOperations } from '../operations/operation-store.ts';
import type { Demand } from '../placement/demand.ts';
import { release } from '../placement/placement.ts';
import { carryOut, decideStart } from './instance-operations.ts';
import { about } from './instance-outcome.ts';
import { heldBy, unallocated } from './instance-room.ts';
import { type InstanceRow, selectInstances } from './instance-store.ts';

type Context = { deps: Deps; access: SystemAccess };

/** Was it on before the host went down? What was only asked for since is still to be done. */
const wasOn = ({ desired, observed_state }: InstanceRow): boolean =>
  (desired === 'running' || desired === 'paused') && ['running', 'paused', 'stopping'].includes(observed_state);

/** Idempotent: a boot that is known changes nothing. The first boot of a host that is new is only remembered. */
export async function followHostBoot({ deps, access }: Context, hostId: HostId, bootId: string): Promise<void> {
  const known = await deps.db.selectFrom('hosts').select('boot_id').where('id', '=', hostId).executeTakeFirst();
  if (!known || known.boot_id === bootId) return;
  await inTransaction(deps.db, async (tx) => {
    if (known.boot_id !== null) await followRestart({ deps, access }, tx, hostId);
    // The row of the host comes last: every launch waits for it.
    await tx.updateTable('hosts').set({ boot_id: bootId }).where('id', '=', hostId).execute();
  });
}

async function followRestart({ deps, access }: Context, tx: Tx, hostId: HostId): Promise<void> {
  const rows = await selectInstances(tx)
    .where('instances.host_id', '=', hostId)
    .where('instances.autostart', '!=', 'restore')
    .where('instances.desired', '!=', 'deleted')
    .orderBy('instances.id')
    .forUpdate('instances')
    .execute();
  const freed: Demand[] = [];
  for (const row of rows.filter((row) => row.autostart === 'never' && wasOn(row))) {
    await leaveOff({ deps, access }, tx, row);
    if (row.allocated) freed.push(heldBy(row));
  }
  for (const held of freed) await release(tx, access, hostId, held);
  for (const row of rows.filter((row) => row.autostart === 'always' && row.desired === 'stopped')) {
    await startAnyway({ deps, access }, tx, row);
  }
}

async function leaveOff({ deps, access }: Context, tx: Tx, row: InstanceRow): Promise<void> {
  const now = deps.clock.now();
  await overtakeOperations(tx, access, row.id, 'a restart of the host', now);
  await tx
    .updateTable('instances')
    .set({
      desired: 'stopped',
      force_at: now,
      ...unallocated,
      generation: row.generation + 1,
      operation_id: null,
      reboot: null,
      failure: null,
      failures: 0,
      retry_at: null,
    })
    .where('id', '=', row.id)
    .execute();
  await appendEvent(tx, access, {
    ...about(row, 'instance.left-off'),
    message: `Host ${row.host_name} was restarted; instance ${row.name} stays off, as its autostart policy says.`,
  });
}

async function startAnyway({ deps, access }: Context, tx: Tx, row: InstanceRow): Promise<void> {
  try {
    await carryOut(deps, tx, access, row, await decideStart(deps, tx, access, row, { isBack: true }));
    await appendEvent(tx, access, {
      ...about(row, 'instance.autostarted'),
      message: `Host ${row.host_name} was restarted; instance ${row.name} is started, as its autostart policy says.`,
    });
  } catch (error) {
    if (!(error instanceof VirgaError)) throw error;
    await appendEvent(tx, access, {
      ...about(row, 'instance.autostart-refused'),
      message: `Host ${row.host_name} was restarted, but instance ${row.name} cannot be started: ${error.detail}`,
    });
  }
}
