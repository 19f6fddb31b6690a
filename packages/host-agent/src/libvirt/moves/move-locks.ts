// What every step of a move is done under.
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { isInterruption } from '../hypervisor-errors.ts';
import type { MoveRecord } from './move-record.ts';

/** Of the instance first, as whoever starts it does. */
export function withLocks<T>(
  { locks }: AgentContext,
  holder: MoveRecord['holder'],
  id: VolumeId,
  work: () => Promise<T>,
): Promise<T> {
  return holder === null ? locks.run(id, work) : locks.run(holder.id, () => locks.run(id, work));
}

/** There is no way back: whatever goes wrong is tried again. */
export async function forGood<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof VirgaError) || isInterruption(error)) throw error;
    const { detail, action } = error;
    throw new VirgaError('HostUnavailable', { detail, action, cause: error });
  }
}
