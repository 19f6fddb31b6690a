// Whether guests' disks can be driven by io_uring on this host. Tried out with QEMU's own code and as the user whom guests run
// as, because kernels can keep it from some: one read, of a file that is there wherever QEMU is. Changes nothing.
import type { Logger } from 'pino';
import type { HostSystem } from '../../host-system/host-system.ts';
import type { Hypervisor } from '../hypervisor.ts';
import { otherOwner } from './guest-owner.ts';

/** The program that reads it. */
const readableFile = '/proc/self/exe';

/** @throws HostUnavailable libvirt does not answer */
export async function canUseIoUring({
  hypervisor,
  system,
  log,
}: {
  hypervisor: Hypervisor;
  system: HostSystem;
  log: Logger;
}): Promise<boolean> {
  const user = await otherOwner(hypervisor);
  const args = ['bench', '-f', 'raw', '-i', 'io_uring', '-c', '1', '-d', '1', '-s', '4096', readableFile];
  try {
    await system.run('qemu-img', args, { package: 'qemu-utils', timeoutMs: 10_000, user });
    return true;
  } catch (error) {
    log.debug({ err: error }, "io_uring cannot be used for guests' disks on this host");
    return false;
  }
}
