// I/O threads of a domain that runs: made before the volume that wants one is plugged in, and ended when its volume has gone.
// A domain's definition has them from elsewhere.
import type { DesiredInstance } from '@virga/contract/agent/desired';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { tolerate } from '../hypervisor-errors.ts';
import { ioThreadIds } from './disk-driver-xml.ts';

/** Makes a thread of that number, if there is none. */
export async function addThread(
  { hypervisor, hook }: AgentContext,
  { id }: DesiredInstance,
  ref: DomainRef,
  thread: number,
): Promise<void> {
  const threads = await hypervisor.ask(`look at the threads of ${ref.name}`, ({ domains }) => domains.iothreads(ref));
  if (threads.some((one) => one.id === thread)) return;
  await hook('add-thread', id);
  await hypervisor.act(`give ${ref.name} an I/O thread`, ({ domains }) =>
    domains.addIothread(ref, thread, { live: true }),
  );
}

/** Ends threads whose disks have gone; one that a disk still has stays until the guest is off. Those of others stay too. */
export async function removeSpareThreads(
  { hypervisor, hook }: AgentContext,
  desired: DesiredInstance,
  ref: DomainRef,
  before: DesiredInstance,
): Promise<void> {
  const wanted = ioThreadIds(desired);
  const spare = ioThreadIds(before).filter((id) => !wanted.includes(id));
  if (spare.length === 0) return;
  const threads = await hypervisor.ask(`look at the threads of ${ref.name}`, ({ domains }) => domains.iothreads(ref));
  for (const { id } of threads.filter((thread) => spare.includes(thread.id))) {
    await hook('remove-thread', desired.id);
    await hypervisor.act(`take an I/O thread from ${ref.name}`, ({ domains }) =>
      tolerate(domains.removeIothread(ref, id, { live: true }), 'INVALID_ARG'),
    );
  }
}
