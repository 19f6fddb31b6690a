// What of a domain is the host's to decide, not the instance's.
import type { HostCpuChoices } from '../host/cpu-division.ts';

export type Architecture = 'x86_64' | 'aarch64';

export type HostChoices = {
  arch: Architecture;
  acceleration: 'kvm' | 'tcg';
  /** Guests' network packets pass through the host's kernel: needed for more than one queue a card. */
  vhostNet: boolean;
  /** The storage can bypass the host's page cache (O_DIRECT), which native AIO needs. */
  directIo: boolean;
  /** Undefined: nothing is said of where vCPUs run. */
  cpus?: HostCpuChoices | undefined;
};
