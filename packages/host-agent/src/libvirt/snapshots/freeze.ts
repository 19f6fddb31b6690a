// The file systems of a guest, still for the moment of a snapshot or a backup. A guest without an agent, or whose agent does not answer
// in time, is not waited for. Lets them go on whatever happens; who calls sees to it also after a crash of this process.
import type { InstanceId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { askGuest, isFrozen } from '../guest/guest-agent.ts';

/** @returns whether they were frozen, by us or by somebody else before */
export async function whileFrozen(
  context: AgentContext,
  id: InstanceId,
  work: (isFrozen: boolean) => Promise<void>,
): Promise<boolean> {
  const frozen = await freeze(context, id);
  try {
    await work(frozen !== 'no');
  } finally {
    if (frozen === 'by-us') await thaw(context, id);
  }
  return frozen !== 'no';
}

async function freeze(context: AgentContext, id: InstanceId): Promise<'by-us' | 'before' | 'no'> {
  try {
    if (await isFrozen((command) => askGuest(context, id, command))) return 'before';
  } catch {
    return 'no';
  }
  try {
    await context.hook('snapshot-freeze', id);
    await askGuest(context, id, { execute: 'guest-fsfreeze-freeze' });
    return 'by-us';
  } catch (error) {
    context.log.info({ err: error, instance: id }, 'the file systems of a guest could not be frozen');
    // It may have frozen some of them.
    await thaw(context, id);
    return 'no';
  }
}

async function thaw(context: AgentContext, id: InstanceId): Promise<void> {
  await askGuest(context, id, { execute: 'guest-fsfreeze-thaw' }).catch((error) =>
    context.log.warn({ err: error, instance: id }, 'a guest could not be thawed'),
  );
}
