// What others did with virsh or taskset to where guests of a host run, and to how their CPU time is shared out: the host sets it
// right, and here it is told. No instance is changed by it.
import type { SystemAccess } from '../../access/authorizer.ts';
import type { RegisteredHost } from '../../agents/agent-registry.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { inTransaction } from '../../store/database.ts';
import { about } from './instance-outcome.ts';
import { findInstance } from './instance-store.ts';

type Context = { deps: Deps; access: SystemAccess };

export async function keepCpus(
  { deps, access }: Context,
  { id: hostId, agent }: RegisteredHost,
  signal: AbortSignal,
): Promise<void> {
  const drifts = await agent.keepCpus(deps.cloudId, { signal });
  for (const { id, changes } of drifts) {
    await inTransaction(deps.db, async (tx) => {
      const row = await findInstance(tx, id);
      // One that is just being changed was found half way, and by nobody else.
      if (row?.host_id !== hostId || row.generation !== row.converged_generation) return;
      await appendEvent(tx, access, {
        ...about(row, 'instance.changed-outside'),
        message: `How instance ${row.name} runs was changed beside Virga, and was set right: ${changes.join('; ')}.`,
        data: { action: 'reverted', changes },
      });
    });
  }
}
