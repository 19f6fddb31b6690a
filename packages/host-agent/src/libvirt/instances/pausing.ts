// Lets guests stand still and go on. One that QEMU stopped because the storage was full goes on once there is room, and
// not before: it would only stop again.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { AgentContext } from '../agent-context.ts';
import { tolerate } from '../hypervisor-errors.ts';
import { storageSpace } from '../storage.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { observedState } from './observed-state.ts';

/** With less than this a guest would soon stand still again. */
const roomToGoOnBytes = 16 * 1024 * 1024;

export const isPaused = ({ state }: Pick<OwnDomain, 'state'>): boolean => observedState(state).state === 'paused';

export async function suspend(context: AgentContext, desired: DesiredInstance, ref: OwnDomain['ref']): Promise<void> {
  await context.hook('suspend', desired.id);
  await context.hypervisor.act(`suspend ${ref.name}`, ({ domains }) =>
    tolerate(domains.suspend(ref), 'OPERATION_INVALID', 'NO_DOMAIN'),
  );
}

/** @returns false when it cannot go on yet, because the storage is full */
export async function resume(
  context: AgentContext,
  desired: DesiredInstance,
  { ref, state }: Pick<OwnDomain, 'ref' | 'state'>,
): Promise<boolean> {
  if (observedState(state).reason === 'storage-full') {
    const { freeBytes } = await storageSpace(context.storage);
    if (freeBytes < roomToGoOnBytes) return false;
  }
  await context.hook('resume', desired.id);
  await context.hypervisor.act(`let ${ref.name} go on`, ({ domains }) =>
    tolerate(domains.resume(ref), 'OPERATION_INVALID', 'NO_DOMAIN'),
  );
  return true;
}
