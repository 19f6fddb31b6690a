// What else is on a host: domains that are no instances of any cloud. Asks the host each time.
import type { ForeignDomain } from '@virga/contract/agent/foreign';
import type { HostId } from '@virga/contract/ids';
import type { CloudAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { getHost } from './host-operations.ts';

/** @throws NotFound | HostUnavailable */
export async function listForeignDomains(
  deps: Deps,
  access: CloudAccess<'admin'>,
  id: HostId,
): Promise<{ items: ForeignDomain[] }> {
  await getHost(deps.db, access, id);
  const domains = await deps.agents.agentOf(id).listForeignDomains();
  return { items: domains.sort((one, other) => one.name.localeCompare(other.name)) };
}
