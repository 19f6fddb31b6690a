// What is told of the memory of a guest that was given a NUMA node, or lost it, while it runs: QEMU binds memory once, so it
// stays where it is until the next start.
import type { DesiredInstance } from '@virga/contract/agent/desired';

type Tuned = Pick<DesiredInstance, 'cpu'>;

export const memoryStays = 'Its memory stays in the node that it is in until the guest is started again.';

/** Of one that asked for a node, or has CPUs of one: its memory comes from there, or it is not started. */
export const hasNodeMemory = ({ cpu }: Tuned): boolean => cpu.node !== null && cpu.policy !== 'shared';

/** @param before what was applied to a guest that goes on running */
export const pendingMemoryNotes = (before: Tuned, desired: Tuned): string[] =>
  hasNodeMemory(before) === hasNodeMemory(desired) ? [] : [memoryStays];
