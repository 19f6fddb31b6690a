// What the parts of the libvirt agent share. Owns nothing by itself; the agent makes it and closes it.
import type { VolumeId } from '@virga/contract/ids';
import type { Logger } from 'pino';
import type { DiskWatch } from '../block-devices/disk-watch.ts';
import type { Clock } from '../clock.ts';
import type { HostChanges } from '../host-changes/host-changes.ts';
import type { HostSystem } from '../host-system/host-system.ts';
import type { KeyedLock } from '../keyed-lock.ts';
import type { StepHook } from '../step-hook.ts';
import type { RecipeOutput } from './built-image.ts';
import type { Accelerator } from './host/acceleration.ts';
import type { CpuPoolRecord } from './host/cpu-pool-record.ts';
import type { NicLimitsProbe } from './host/nic-limits.ts';
import type { Hypervisor } from './hypervisor.ts';
import type { ShutdownRequests } from './instances/shutdown-requests.ts';
import type { NetworkNames } from './networks/network-names.ts';
import type { Storage } from './storage.ts';

export type AgentContext = {
  hypervisor: Hypervisor;
  /** The files and programs of the host. */
  system: HostSystem;
  /** What is changed on the host itself. */
  changes: HostChanges;
  storage: Storage;
  log: Logger;
  clock: Clock;
  hook: StepHook;
  /** One act at a time for each instance, network or image, by id. */
  locks: KeyedLock;
  accelerator: Accelerator;
  /** How the CPUs of the host are divided. */
  cpuPools: CpuPoolRecord;
  nicLimits: NicLimitsProbe;
  networkNames: NetworkNames;
  shutdowns: ShutdownRequests;
  /** Of encrypted volumes, as long as this process lives. */
  passphrases: Map<VolumeId, string>;
  /** Where libvirt keeps the memory of hibernated guests. */
  savedMemoryPath: string;
  /** The storage can bypass the host's page cache. */
  directIo: boolean;
  /** The disks under the storage. */
  disks: DiskWatch;
  /** What looks into disks that no program of the host can read. */
  appliance: RecipeOutput | undefined;
};
