// The contract of a host agent. Two implementations: `libvirt` (real) and `simulated` (fleets and faults in tests), both
// held to one test suite. Errors are `VirgaError`s of the registry; anything else is a bug of the agent.
import type { Duplex } from 'node:stream';
import type { ImageId, InstanceId, NetworkId } from '../ids.ts';
import type { BackupKeeping } from './backups.ts';
import type { DiskLooking } from './block-devices.ts';
import type { CallContext } from './call-context.ts';
import type { CpuKeeping } from './cpu-map.ts';
import type { DefinitionKeeping } from './definition.ts';
import type { DesiredImage, DesiredInstance, DesiredNetwork, InstanceIdentity } from './desired.ts';
import type { ForeignDomain, ForeignDomainDetails } from './foreign.ts';
import type { GuestAccess, ScreenAccess } from './guest.ts';
import type { HostBenchmarking } from './host-bench.ts';
import type { HostChecking } from './host-checks.ts';
import type { HostFacts } from './host-facts.ts';
import type { HostKeeping } from './host-keepsake.ts';
import type { MemoryKeeping } from './host-memory.ts';
import type { HostTuning } from './host-tuning.ts';
import type { HostMeasuring } from './host-usage.ts';
import type { ImageBuilding } from './image-building.ts';
import type { ImageCopyKeeping } from './image-copies.ts';
import type { ImageFetching } from './image-fetching.ts';
import type { InstrumentAccess } from './instruments.ts';
import type { Inventory } from './inventory.ts';
import type { VolumeMoving } from './moves.ts';
import type { AgentEvent, ObservedImage, ObservedInstance, ObservedNetwork } from './observed.ts';
import type { PoolKeeping } from './pools.ts';
import type { SnapshotKeeping } from './snapshots.ts';
import type { VolumeKeeping } from './volumes.ts';
import type { WarmKeeping } from './warm.ts';

export type { CallContext, OnProgress } from './call-context.ts';

/** What stands in a file of its own in each implementation, and is put together with the rest when an agent is opened. */
export type HostAgentParts = BackupKeeping &
  CpuKeeping &
  DiskLooking &
  GuestAccess &
  ScreenAccess &
  InstrumentAccess &
  MemoryKeeping &
  HostBenchmarking &
  HostChecking &
  HostKeeping &
  HostMeasuring &
  HostTuning &
  ImageBuilding &
  ImageCopyKeeping &
  ImageFetching &
  PoolKeeping &
  SnapshotKeeping &
  VolumeMoving &
  WarmKeeping;

export interface HostAgent extends HostAgentParts, DefinitionKeeping, VolumeKeeping {
  /** Facts about the host, read now. @throws HostUnavailable the hypervisor does not answer */
  facts(context?: CallContext): Promise<HostFacts>;

  /**
   * Brings an instance one step nearer to what is desired, without waiting for a guest: disk, seed, leases, domain,
   * power, reboot. Idempotent; may be called any number of times, also after a crash half way. While a guest shuts down
   * it answers `stopping` at once; call again on the next event, or at `forceAt`, when it cuts the guest off. What it
   * made in a call that fails for good is undone before it throws. Devices of a guest that runs are plugged and pulled.
   * @throws HostUnavailable retry later
   * @throws StorageFull | NotFound (image or network not on this host) | HypervisorRefused | Conflict (a newer
   *   generation has been applied, or the domain name belongs to somebody else)
   * @throws GuestUnavailable the guest has not let go of a device, which it still has; call again later. Or the guest agent
   *   that was to reboot it does not answer
   * @throws SavedMemoryUnusable what it was to be woken from cannot be read and has been discarded; it is off now
   */
  applyInstance(desired: DesiredInstance, context?: CallContext): Promise<ObservedInstance>;

  /** Removes domain, disk, seed, log and leases. Idempotent; nothing there is success. Never touches another cloud's. */
  deleteInstance(instance: InstanceIdentity, context?: CallContext): Promise<void>;

  /**
   * Gives an instance back: its domain loses our metadata and goes on as it is, with its disks where they are, and the
   * host no longer lists it. Idempotent; nothing there is success.
   */
  releaseInstance(instance: Pick<InstanceIdentity, 'id' | 'cloudId'>, context?: CallContext): Promise<void>;

  /** Domains without any metadata of ours, of no cloud. */
  listForeignDomains(context?: CallContext): Promise<ForeignDomain[]>;
  /**
   * One of them, by name or UUID, with its cards on networks of this cloud. It is taken over by applying an instance with
   * its UUID whose origin is `adopted`.
   * @throws NotFound there is none | Conflict it is an instance of a cloud
   */
  inspectForeignDomain(cloudId: string, nameOrUuid: string, context?: CallContext): Promise<ForeignDomainDetails>;

  /** All that is here of any cloud, with what it was given to keep. */
  inventory(context?: CallContext): Promise<Inventory>;

  /** Every instance of this cloud on the host, also those of which only files are left. */
  listInstances(cloudId: string, context?: CallContext): Promise<ObservedInstance[]>;

  /** Creates or repairs a network with exactly these leases, and starts it. Idempotent, running guests keep their link. */
  applyNetwork(desired: DesiredNetwork, context?: CallContext): Promise<ObservedNetwork>;
  deleteNetwork(network: { id: NetworkId; cloudId: string; uuid: string }, context?: CallContext): Promise<void>;
  listNetworks(cloudId: string, context?: CallContext): Promise<ObservedNetwork[]>;

  /**
   * Brings an image into the host's store after checking it: copied from a file, or downloaded or received, unpacked and
   * converted. Idempotent: an image that is there is checked and returned. A download that was cut off goes on where it was.
   * @throws ImageUnusable not of the stated format, corrupt, has a backing or data file, is absurdly large, or has another
   *   checksum or signature than it should
   * @throws StorageFull | NotFound (no such file, or it was sent to another host) | Conflict (not all of it has been sent)
   * @throws ImageSourceUnavailable its address may not be read, or cannot be
   * @throws HostIncapable the host cannot lock away the programs that would read it
   */
  importImage(desired: DesiredImage, context?: CallContext): Promise<ObservedImage>;
  deleteImage(image: { id: ImageId; cloudId: string }, context?: CallContext): Promise<void>;
  listImages(cloudId: string, context?: CallContext): Promise<ObservedImage[]>;

  /** Live domain XML. @throws NotFound there is no domain */
  domainXml(id: InstanceId, context?: CallContext): Promise<string>;
  /** The last `tailBytes` bytes of what the serial console printed. Empty when it printed nothing. */
  consoleLog(id: InstanceId, tailBytes: number): Promise<{ bytes: Buffer; truncated: boolean }>;
  /** The serial console, raw bytes both ways. @throws Conflict the instance does not run */
  openConsole(id: InstanceId): Promise<Duplex>;

  /**
   * What happens on the host, from now on, until the signal aborts. Reconnects by itself. Events of one instance come in
   * order; within 2 s of the change. One watcher a cloud.
   */
  watch(cloudId: string, signal: AbortSignal): AsyncIterable<AgentEvent>;

  close(): Promise<void>;
}
