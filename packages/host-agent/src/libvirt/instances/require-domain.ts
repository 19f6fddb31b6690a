// The domain of an instance for those who only want to look at it or reach into it: found by its folder, else by what the
// domains say of themselves. Asks each time, and keeps nothing.
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { findById, findByUuid, readRecord } from './domain-lookup.ts';
import { readOwner } from './instance-folder.ts';

/** @throws NotFound */
export async function requireDomain(context: AgentContext, connection: Connection, id: InstanceId): Promise<DomainRef> {
  const owner = await readOwner(context.storage, id);
  const domain = owner && (await findByUuid(connection, owner.uuid));
  const isIt = domain !== undefined && (await readRecord(connection, domain))?.instanceId === id;
  // Somebody may have removed the folder of a guest that runs on.
  const found = isIt ? domain : await findById(connection, id);
  if (found !== undefined) return found;
  throw new VirgaError('NotFound', {
    detail: `There is no domain of ${id} on the host.`,
    action: 'Look at the state of the instance: virga show.',
  });
}

/**
 * The same for what can only be done to a domain that is on.
 * @param so what follows from its being off, such as `, so it has no screen`
 * @throws NotFound | Conflict
 */
export async function requireRunning(
  context: AgentContext,
  connection: Connection,
  id: InstanceId,
  so = '',
): Promise<DomainRef> {
  const domain = await requireDomain(context, connection, id);
  if (await connection.domains.isActive(domain)) return domain;
  throw new VirgaError('Conflict', { detail: `${domain.name} does not run${so}.`, action: 'Start it first.' });
}
