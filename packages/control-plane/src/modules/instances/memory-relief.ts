// The relief valve of a host: when the memory that is really available falls under its floor, guests with idle memory lend
// some by their balloons, and get it back when there is room. What an instance is to have is not touched, so a loan that a
// crash interrupts, or a resize overtakes, is just looked at again. Events tell when it begins and when all is given back.
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { type Lender, planRelief } from './relief-plan.ts';

const kibPerMib = 1024;

/** Looks at a host that has just told how it is. @throws HostUnavailable */
export async function relieveHost(
  { deps, access }: { deps: Deps; access: SystemAccess },
  { id, name, agent }: RegisteredHost,
  { memoryAvailableMib }: Pick<HostFacts, 'memoryAvailableMib'>,
  signal?: AbortSignal,
): Promise<void> {
  const { db, settings, cloudId, clock } = deps;
  if (memoryAvailableMib === undefined) return;
  const host = await db
    .selectFrom('hosts')
    .select(['memory_floor_mib', 'relieving_since'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (!host) return;
  const floorMib = host.memory_floor_mib ?? settings.memoryFloorMib;
  // On most hosts this is all there is to do.
  if (memoryAvailableMib >= floorMib && host.relieving_since === null) return;
  const memory = await agent.hostMemory(cloudId, { signal });
  const lenders = await lendersOf(deps, id, memory.guests);
  const loans = planRelief({ availableKib: memory.availableKib, floorKib: floorMib * kibPerMib }, lenders);
  const asked = new Map<Lender['id'], number>();
  for (const { id: instanceId, memoryKib } of loans) {
    const isAsked = await agent.lendMemory(instanceId, Math.floor(memoryKib / kibPerMib), { signal });
    if (isAsked) asked.set(instanceId, memoryKib);
  }
  const lent = (lender: Lender) => lender.promisedKib - (asked.get(lender.id) ?? lender.currentKib);
  const lentMib = Math.floor(lenders.reduce((sum, lender) => sum + Math.max(0, lent(lender)), 0) / kibPerMib);
  if (lentMib > 0 === (host.relieving_since !== null)) return;
  await inTransaction(db, async (tx) => {
    await tx
      .updateTable('hosts')
      .set({ relieving_since: lentMib > 0 ? clock.now() : null })
      .where('id', '=', id)
      .execute();
    await appendEvent(tx, access, {
      projectId: null,
      resourceId: id,
      resourceName: name,
      ...(lentMib > 0
        ? {
            type: 'host.memory-short',
            message: `Host ${name} has ${memoryAvailableMib} MiB of memory available, less than its floor of ${floorMib} MiB: its guests lend ${lentMib} MiB that they do not use.`,
            data: { memoryAvailableMib, floorMib, lentMib, instances: [...asked.keys()] },
          }
        : {
            type: 'host.memory-relieved',
            message: `Host ${name} has memory to spare again: its guests have all that they were promised.`,
            data: { memoryAvailableMib, floorMib },
          }),
    });
  });
}

/** Only what was launched here: what a domain of somebody else's is to have, its own definition says. */
async function lendersOf(
  { db }: Deps,
  hostId: RegisteredHost['id'],
  guests: readonly Omit<Lender, 'leastKib'>[],
): Promise<Lender[]> {
  const rows = await db
    .selectFrom('instances')
    .leftJoin('images', 'images.id', 'instances.image_id')
    .select(['instances.id', 'images.minimum_memory_mib as least_mib'])
    .where('instances.host_id', '=', hostId)
    .where('instances.origin', '=', 'launched')
    .where('instances.desired', '=', 'running')
    .where('instances.observed_state', '=', 'running')
    .execute();
  const leastKib = new Map(rows.map((row) => [row.id, (row.least_mib ?? 0) * kibPerMib]));
  return guests.flatMap((guest) => {
    const least = leastKib.get(guest.id);
    return least === undefined ? [] : [{ ...guest, leastKib: least }];
  });
}
