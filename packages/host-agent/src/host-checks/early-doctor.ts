// The doctor of this machine before libvirt and a server run: for checks that need the machine's files alone, such as what has
// to be right before libvirt starts. It works on the record that the host agent has.
import type { HostChecking } from '@virga/contract/agent/host-checks';
import { VirgaError } from '@virga/contract/errors';
import { HostChanges } from '../host-changes/host-changes.ts';
import { hostChangesPath } from '../host-changes/record-path.ts';
import { type HostSystem, realHostSystem } from '../host-system/host-system.ts';
import { hostDoctor } from './host-doctor.ts';

export function earlyDoctor(storagePath: string, system: HostSystem = realHostSystem): HostChecking {
  const notYet = (): never => {
    throw new VirgaError('HostUnavailable', {
      detail: 'Neither libvirt nor the host agent runs yet.',
      action: 'Check the host again when they do.',
    });
  };
  return hostDoctor({
    system,
    changes: new HostChanges({ system, recordPath: hostChangesPath(storagePath) }),
    host: {
      arch: process.arch === 'arm64' ? 'aarch64' : 'x86_64',
      storagePath,
      storageSpace: async () => notYet(),
      directIo: true,
      acceleration: async () => notYet(),
      hypervisor: async () => notYet(),
      pause: async () => undefined,
    },
  });
}
