// Removes from a host what is left of an instance of this cloud that no row owns, such as after a database was restored
// from a backup. What carries another cloud's id never gets here: a host lists one cloud only.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import { inTransaction } from '../../store/database.ts';

export async function reapInstance(
  { deps, access }: { deps: Deps; access: SystemAccess },
  host: RegisteredHost,
  { id, domainName, cloudId, adopted }: ObservedInstance,
  signal: AbortSignal,
): Promise<void> {
  if (cloudId !== deps.cloudId) return;
  const owner = await deps.db.selectFrom('instances').select('id').where('id', '=', id).executeTakeFirst();
  if (owner) return;
  const tell = (type: string, message: string) =>
    inTransaction(deps.db, (tx) =>
      appendEvent(tx, access, { type, projectId: null, resourceId: id, resourceName: domainName, message }),
    );
  if (adopted) {
    // Somebody else made it: it is theirs again.
    await host.agent.releaseInstance({ id, cloudId }, { signal });
    return tell(
      'instance.released',
      `Domain ${domainName} on host ${host.name} belonged to no instance and was given back.`,
    );
  }
  // The leases go with the next look at the networks, which have exactly those that rows ask for.
  await host.agent.deleteInstance({ id, cloudId, uuid: uuidOf(id), domainName, nics: [] }, { signal });
  deps.log.warn({ instance: id, domain: domainName, host: host.name }, 'removed an instance that no row owns');
  await tell('instance.reaped', `Domain ${domainName} on host ${host.name} belonged to no instance and was removed.`);
}
