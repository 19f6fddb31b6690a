// Removes from a host what is left of volumes of this cloud that no row owns, such as after a database was restored from a
// backup. What carries another cloud's id never gets here: a host lists one cloud only.
import type { ObservedVolume } from '@virga/contract/agent/volumes';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';

/** @param seen as the host has just told: a volume has its row before it has a file */
export async function reapVolumes(
  { deps, access }: { deps: Deps; access: SystemAccess },
  host: RegisteredHost,
  seen: readonly ObservedVolume[],
  signal: AbortSignal,
): Promise<void> {
  const there = seen.filter(({ cloudId }) => cloudId === deps.cloudId);
  if (there.length === 0) return;
  const ids = there.map(({ id }) => id);
  const owned = await deps.db.selectFrom('volumes').select('id').where('id', 'in', ids).execute();
  const orphans = there.filter(({ id }) => !owned.some((row) => row.id === id));
  for (const { id, name } of orphans) {
    await host.agent.deleteVolume({ id, cloudId: deps.cloudId }, { signal });
    deps.log.warn({ volume: id, name, host: host.name }, 'removed a volume that no row owns');
    await inTransaction(deps.db, (tx) =>
      appendEvent(tx, access, {
        type: 'volume.reaped',
        projectId: null,
        resourceId: id,
        resourceName: name,
        message: `Volume ${id} on host ${host.name} belonged to nothing and was removed.`,
      }),
    );
  }
}
