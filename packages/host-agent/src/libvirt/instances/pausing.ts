// Lets guests stand still and go on. One that QEMU stopped because the storage was full goes on once there is room, and
// not before: it would only stop again.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { AgentContext } from '../agent-context.ts';
import { tolerate } from '../hypervisor-errors.ts';
import { driverOf } from '../pools/drivers.ts';
import { readVolume } from '../volumes/volume-folder.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { observedState } from './observed-state.ts';

/** With less than this of a pool a guest would soon stand still again: a hundredth of it, between these. */
const leastRoomBytes = 16 * 1024 * 1024;
const mostRoomBytes = 1024 ** 3;
const roomRatio = 0.01;

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
    if (!(await haveRoom(context, desired))) return false;
  }
  await context.hook('resume', desired.id);
  await letGoOn(context, ref);
  return true;
}

/** One that runs, or is off, is left so. */
export const letGoOn = ({ hypervisor }: AgentContext, ref: OwnDomain['ref']): Promise<void> =>
  hypervisor.act(`let ${ref.name} go on`, ({ domains }) =>
    tolerate(domains.resume(ref), 'OPERATION_INVALID', 'NO_DOMAIN'),
  );

/** Whether there is room again wherever the disks of an instance lie. */
async function haveRoom({ storage }: AgentContext, { rootDisk, volumes }: DesiredInstance): Promise<boolean> {
  const records = await Promise.all(volumes.map(({ id }) => readVolume(storage, id)));
  const pools = new Set([rootDisk.pool, ...records.map((record) => record?.poolId)]);
  for (const id of pools) {
    const { freeBytes, totalBytes } = await (await driverOf(storage, id)).space();
    if (freeBytes < Math.min(mostRoomBytes, Math.max(leastRoomBytes, totalBytes * roomRatio))) return false;
  }
  return true;
}
