// Whether the QEMU of a guest that runs finds a file of the host. libvirt gives each a mount namespace of its own: where the root
// of the host is not shared, what is mounted after a guest was started is not there for it.
import { VirgaError } from '@virga/contract/errors';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { pidOf } from '../../guest-threads/guest-threads.ts';
import type { AgentContext } from '../agent-context.ts';
import type { DiskSource } from '../disks/disk-source.ts';

/** @throws HypervisorRefused it would say that there is no such file */
export async function requireSeen({ system }: AgentContext, ref: DomainRef, { path, rbd }: DiskSource): Promise<void> {
  const pid = rbd === undefined ? await pidOf(system, ref.name) : undefined;
  if (pid === undefined || (await system.exists(`/proc/${pid}/root${path}`)) || !(await system.exists(path))) return;
  throw new VirgaError('HypervisorRefused', {
    detail: `The guest of ${ref.name} was started before that was mounted in which ${path} lies, and its QEMU does not see it.`,
    action:
      'Stop the instance and start it. Guests that are started after mount --make-rshared / see what is mounted later.',
  });
}
