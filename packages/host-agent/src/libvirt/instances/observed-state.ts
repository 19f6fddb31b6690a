// libvirt's states and reasons, as the contract tells them. A pure table.
import type { ObservedInstance } from '@virga/contract/agent/observed';
import type { DomainState } from '@virga/libvirt/api/domain/state-names';

type Seen = Pick<ObservedInstance, 'state' | 'reason' | 'moving'>;

const seen = (state: Seen['state'], reason: Seen['reason']): Seen => ({ state, reason });

export function observedState({ state, reason }: DomainState): Seen {
  switch (state) {
    case 'running':
    case 'blocked':
      return running(reason);
    case 'paused':
      return paused(reason);
    case 'pm-suspended':
      return seen('paused', 'suspended');
    case 'shutting-down':
      return seen('stopping', 'guest-shutdown');
    case 'crashed':
      return seen('stopped', 'crashed');
    case 'off':
      return seen('stopped', whyOff(reason));
    default:
      return seen('stopped', 'unknown');
  }
}

function running(reason: DomainState['reason']): Seen {
  if (reason === 'restored' || reason === 'migrated') return seen('running', reason);
  // The rest of its memory is still on its way, and its old host holds on to it.
  return reason === 'postcopy' ? { ...seen('running', 'migrated'), moving: true } : seen('running', 'booted');
}

function paused(reason: DomainState['reason']): Seen {
  switch (reason) {
    case 'migration':
    case 'postcopy':
    case 'starting-up':
      return { ...seen('running', 'booted'), moving: true };
    case 'save':
    case 'dump':
    case 'snapshot':
      // Every save and copy passes through here; what comes of it follows.
      return seen('running', 'booted');
    case 'shutting-down':
      return seen('stopping', 'guest-shutdown');
    case 'io-error':
      // Our disks have QEMU's default policy: it pauses a guest when the storage is full, and at no other error.
      return seen('paused', 'storage-full');
    case 'crashed':
      return seen('paused', 'crashed');
    default:
      return seen('paused', 'suspended');
  }
}

function whyOff(reason: DomainState['reason']): Seen['reason'] {
  switch (reason) {
    case 'shutdown':
      return 'guest-shutdown';
    case 'destroyed':
    case 'crashed':
    case 'failed':
    case 'migrated':
      return reason;
    case 'saved':
      return 'suspended';
    default:
      return 'unknown';
  }
}
