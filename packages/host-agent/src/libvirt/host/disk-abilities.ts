// Whether guests' disks can be driven by io_uring on this host. Tried out with QEMU's own code and as the user whom guests run
// as, because kernels can keep it from some: one read of a small file. Nothing of it stays.
import { randomBytes } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { runCommand } from '../../run-command.ts';
import type { Hypervisor } from '../hypervisor.ts';
import type { Storage } from '../storage.ts';
import { otherOwner } from './guest-owner.ts';

const probeBytes = 64 * 1024;

/** @throws HostUnavailable libvirt does not answer */
export async function canUseIoUring({
  hypervisor,
  storage,
  log,
}: {
  hypervisor: Hypervisor;
  storage: Storage;
  log: Logger;
}): Promise<boolean> {
  const user = await otherOwner(hypervisor);
  const path = join(storage.path, `.io-uring-probe-${randomBytes(4).toString('hex')}`);
  try {
    await writeFile(path, Buffer.alloc(probeBytes), { mode: 0o644 });
    const args = ['bench', '-f', 'raw', '-i', 'io_uring', '-c', '1', '-d', '1', '-s', '4096', path];
    await runCommand('qemu-img', args, { package: 'qemu-utils', timeoutMs: 10_000, user });
    return true;
  } catch (error) {
    log.debug({ err: error }, "io_uring cannot be used for guests' disks on this host");
    return false;
  } finally {
    await rm(path, { force: true });
  }
}
