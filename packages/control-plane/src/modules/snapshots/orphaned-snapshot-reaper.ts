// Removes from a host the snapshots of this cloud's instances that no row owns, such as after a database was restored from a backup;
// what only they needed is merged. What is of an instance that no row owns goes with that. One that cannot go now, because the disk
// of an instance rests on it or a file is missing, is tried again with the next look, and holds up no other.
import type { ObservedSnapshot } from '@virga/contract/agent/snapshots';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { instanceOf } from './snapshot-store.ts';

export async function reapSnapshots(
  { deps, access }: { deps: Deps; access: SystemAccess },
  host: RegisteredHost,
  signal: AbortSignal,
): Promise<void> {
  const told = await findOrphans(deps, host, signal);
  if (told.length === 0) return;
  // One may have been deleted after the host told of it, and before its row was looked for.
  for (const { snapshot, instance } of await findOrphans(deps, host, signal)) {
    if (!told.some((before) => before.snapshot.id === snapshot.id)) continue;
    const { id, name } = snapshot;
    try {
      await host.agent.deleteSnapshot({ id, cloudId: deps.cloudId, instance: instanceOf(instance) }, { signal });
    } catch (error) {
      signal.throwIfAborted();
      deps.log.warn({ err: error, snapshot: id, host: host.name }, 'a snapshot that no row owns cannot be removed now');
      continue;
    }
    deps.log.warn({ snapshot: id, name, host: host.name }, 'removed a snapshot that no row owns');
    await inTransaction(deps.db, (tx) =>
      appendEvent(tx, access, {
        type: 'snapshot.reaped',
        projectId: instance.project_id,
        resourceId: id,
        resourceName: name,
        message: `Snapshot ${name} of instance ${instance.instance_name} on host ${host.name} belonged to nothing and was removed.`,
        data: { instanceId: instance.instance_id },
      }),
    );
  }
}

async function findOrphans({ db, cloudId }: Deps, { agent }: RegisteredHost, signal: AbortSignal) {
  const there = (await agent.listSnapshots(cloudId, { signal })).filter((snapshot) => snapshot.cloudId === cloudId);
  if (there.length === 0) return [];
  // Asked after the host was: a snapshot has its row before it has a file.
  const owned = await db
    .selectFrom('snapshots')
    .select('id')
    .where(
      'id',
      'in',
      there.map(({ id }) => id),
    )
    .execute();
  const orphans = there.filter(({ id }) => !owned.some((row) => row.id === id));
  if (orphans.length === 0) return [];
  const instances = await db
    .selectFrom('instances')
    .select(['id as instance_id', 'uuid as instance_uuid', 'domain_name', 'name as instance_name', 'project_id'])
    .where(
      'id',
      'in',
      orphans.map(({ instanceId }) => instanceId),
    )
    .where('desired', '<>', 'deleted')
    .execute();
  return orphans.flatMap((snapshot: ObservedSnapshot) => {
    const instance = instances.find((row) => row.instance_id === snapshot.instanceId);
    return instance ? [{ snapshot, instance }] : [];
  });
}
