// The checks of a real host: what they ask of libvirt and of the agent, put together. Owns nothing.
import type { HostChecking } from '@virga/contract/agent/host-checks';
import type { Version } from '@virga/libvirt/api/node';
import { hostDoctor } from '../../host-checks/host-doctor.ts';
import type { AgentContext } from '../agent-context.ts';
import { storageSpace } from '../storage.ts';
import { hostArchitecture } from './architecture.ts';
import { hostFeatures } from './host-features.ts';

export function hostChecking(context: AgentContext): HostChecking {
  const { system, changes, storage, directIo, accelerator, hypervisor, clock } = context;
  return hostDoctor({
    system,
    changes,
    host: {
      arch: hostArchitecture(),
      storagePath: storage.path,
      storageSpace: () => storageSpace(storage),
      directIo,
      acceleration: async () => ({
        ...(await accelerator.acceleration({ again: true })),
        proven: accelerator.setting === 'auto',
      }),
      hypervisor: () =>
        hypervisor.ask('look at libvirt', async (connection) => {
          const { node } = connection;
          const [qemu, libvirt, features] = await Promise.all([
            node.hypervisorVersion(),
            node.version(),
            hostFeatures(connection),
          ]);
          return { qemu: text(qemu), libvirt: text(libvirt), features };
        }),
      pause: (ms) => clock.delay(ms),
    },
  });
}

const text = ({ major, minor, release }: Version): string => `${major}.${minor}.${release}`;
