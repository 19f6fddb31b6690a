// The real host agent: the contract of `HostAgent` over libvirt, QEMU's programs and a storage folder. Owns putting the
// parts together; each part is its own file. Opening asks nothing of libvirt, so it works while libvirtd is down.
import type { Duplex } from 'node:stream';
import type { CallContext, HostAgent, HostAgentParts } from '@virga/contract/agent/agent';
import type { Definition, DefinitionEdit, ObservedDrift, OverlayPlan } from '@virga/contract/agent/definition';
import type { DesiredImage, DesiredInstance, DesiredNetwork, InstanceIdentity } from '@virga/contract/agent/desired';
import type { ForeignDomain, ForeignDomainDetails } from '@virga/contract/agent/foreign';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { Inventory } from '@virga/contract/agent/inventory';
import type { AgentEvent, ObservedImage, ObservedInstance, ObservedNetwork } from '@virga/contract/agent/observed';
import type { DesiredVolume, ObservedVolume, VolumeToDelete } from '@virga/contract/agent/volumes';
import type { ImageId, InstanceId, NetworkId } from '@virga/contract/ids';
import type { Logger } from 'pino';
import { DiskWatch } from '../block-devices/disk-watch.ts';
import { type Clock, systemClock } from '../clock.ts';
import { HostChanges } from '../host-changes/host-changes.ts';
import { hostChangesPath } from '../host-changes/record-path.ts';
import { keepRepairs } from '../host-checks/host-doctor.ts';
import { type HostSystem, realHostSystem } from '../host-system/host-system.ts';
import { KeyedLock } from '../keyed-lock.ts';
import type { StepHook } from '../step-hook.ts';
import type { AgentContext } from './agent-context.ts';
import { backupKeeping } from './backups/backup-keeping.ts';
import type { RecipeOutput } from './built-image.ts';
import { planOverlay, readWholeDefinition } from './definitions/definitions.ts';
import { findDrifts } from './definitions/quiet-drift.ts';
import { guestAccess } from './guest/guest-access.ts';
import { type AccelerationSetting, Accelerator } from './host/acceleration.ts';
import { cpuKeeping } from './host/cpu-keeping.ts';
import { CpuPoolRecord } from './host/cpu-pool-record.ts';
import { canUseIoUring } from './host/disk-abilities.ts';
import { hostChecking } from './host/host-checking.ts';
import { hostFacts } from './host/host-facts.ts';
import { hostKeepsakes } from './host/host-keepsakes.ts';
import { hostTuning } from './host/host-tuning.ts';
import { hostMeasuring } from './host/host-usage.ts';
import type { KvmProbe } from './host/kvm-probe.ts';
import { memoryKeeping } from './host/memory-keeping.ts';
import { NicLimitsProbe } from './host/nic-limits.ts';
import { hostBenchmarking } from './host-bench/host-bench.ts';
import { Hypervisor } from './hypervisor.ts';
import { imageBuilding } from './image-building/image-building.ts';
import { deleteImage } from './images/delete-image.ts';
import { imageFetching } from './images/image-fetching.ts';
import { listImages } from './images/image-store.ts';
import { importImage } from './images/import-image.ts';
import { applyInstance } from './instances/apply-instance.ts';
import { domainXml, openConsole, readConsoleLog } from './instances/console.ts';
import { limitConsoleLogs } from './instances/console-log-limit.ts';
import { deleteInstance } from './instances/delete-instance.ts';
import { inspectForeignDomain, listForeignDomains } from './instances/foreign-domains.ts';
import { instrumentAccess } from './instances/instruments.ts';
import { listSeenInstances } from './instances/observed-instance.ts';
import { releaseInstance } from './instances/release-instance.ts';
import { screenAccess } from './instances/screen.ts';
import { ShutdownRequests } from './instances/shutdown-requests.ts';
import { takeInventory } from './inventory.ts';
import { volumeMoving } from './moves/volume-moving.ts';
import { NetworkNames } from './networks/network-names.ts';
import { applyNetwork, deleteNetwork, listNetworks } from './networks/networks.ts';
import { imageCopyKeeping } from './pools/image-copy-keeping.ts';
import { poolKeeping } from './pools/pools.ts';
import { snapshotKeeping } from './snapshots/snapshot-keeping.ts';
import { openStorage, probeDirectIo } from './storage.ts';
import { listVolumes } from './volumes/volume-folder.ts';
import { applyVolume, deleteVolume } from './volumes/volumes.ts';
import { warmKeeping } from './warm/warm-keeping.ts';
import { watchHost } from './watch/watch-host.ts';

export type LibvirtAgentOptions = {
  /** Default `qemu:///system`. */
  uri?: string | undefined;
  /** Default libvirt's own for the URI. */
  socketPath?: string | undefined;
  /** Folder of images and instances, absolute. */
  storagePath: string;
  acceleration: AccelerationSetting;
  /** Where libvirt keeps the memory of hibernated guests. Default that of the system's libvirt. */
  savedMemoryPath?: string | undefined;
  /** How `auto` proves KVM. */
  probe?: KvmProbe | undefined;
  /** Default the host's own files and programs. */
  system?: HostSystem | undefined;
  /** What guests of benchmarks are made of; without it there are none. */
  benchImage?: RecipeOutput | undefined;
  /** What disks are looked into with that no program of the host can read; without it they are not. */
  appliance?: RecipeOutput | undefined;
  log: Logger;
  clock?: Clock | undefined;
  hook?: StepHook | undefined;
};

const systemSavedMemoryPath = '/var/lib/libvirt/qemu/save';

/** @throws InvalidArgument | HostUnavailable the storage folder cannot be used */
export async function openLibvirtAgent(options: LibvirtAgentOptions): Promise<HostAgent> {
  const { log, clock = systemClock, hook = () => undefined, probe = {}, system = realHostSystem } = options;
  const storage = await openStorage(options.storagePath);
  const hypervisor = new Hypervisor(options);
  const directIo = await probeDirectIo(storage);
  const findAbilities = async () => ({ directIo, ioUring: await canUseIoUring({ hypervisor, system, log }) });
  const disks = new DiskWatch({ system, clock, storagePath: storage.path, findAbilities });
  const context: AgentContext = {
    hypervisor,
    system,
    changes: new HostChanges({ system, recordPath: hostChangesPath(storage.path), hook }),
    storage,
    log,
    clock,
    hook,
    locks: new KeyedLock(),
    accelerator: new Accelerator({ setting: options.acceleration, probe, storage, hypervisor, log }),
    cpuPools: new CpuPoolRecord(storage),
    nicLimits: new NicLimitsProbe(log),
    networkNames: new NetworkNames(),
    shutdowns: new ShutdownRequests(),
    passphrases: new Map(),
    savedMemoryPath: options.savedMemoryPath ?? systemSavedMemoryPath,
    directIo,
    disks,
    appliance: options.appliance,
  };
  await keepRepairs(context.changes).catch((err) => log.warn({ err }, 'could not make the repairs of this host again'));
  const bench = hostBenchmarking(context, options.benchImage);
  return Object.assign(
    new LibvirtAgent(context, bench.stopReaping),
    { hostDisks: () => disks.disks() },
    backupKeeping(context),
    guestAccess(context),
    screenAccess(context),
    instrumentAccess(context),
    memoryKeeping(context),
    cpuKeeping(context),
    hostChecking(context),
    hostKeepsakes(context),
    hostMeasuring(context),
    hostTuning(context),
    imageBuilding(context),
    imageCopyKeeping(context),
    poolKeeping(context),
    imageFetching(context),
    warmKeeping(context),
    snapshotKeeping(context),
    volumeMoving(context),
    { compare: bench.compare },
  );
}

class LibvirtAgent implements Omit<HostAgent, keyof HostAgentParts> {
  private readonly context: AgentContext;
  private readonly consoleLogs: { stop(): void };
  private readonly stopReaping: () => Promise<void>;

  constructor(context: AgentContext, stopReaping: () => Promise<void>) {
    this.context = context;
    this.stopReaping = stopReaping;
    this.consoleLogs = limitConsoleLogs(context);
  }

  facts(): Promise<HostFacts> {
    return hostFacts(this.context);
  }

  applyInstance(desired: DesiredInstance, call: CallContext = {}): Promise<ObservedInstance> {
    return applyInstance(this.context, desired, call);
  }

  deleteInstance(instance: InstanceIdentity): Promise<void> {
    return deleteInstance(this.context, instance);
  }

  releaseInstance(instance: Pick<InstanceIdentity, 'id' | 'cloudId'>): Promise<void> {
    return releaseInstance(this.context, instance);
  }

  definition(id: InstanceId): Promise<Definition> {
    return readWholeDefinition(this.context, id);
  }

  findDrifts(cloudId: string): Promise<{ id: InstanceId; drift: ObservedDrift }[]> {
    return findDrifts(this.context, cloudId);
  }

  planOverlay(desired: DesiredInstance, edit: DefinitionEdit): Promise<OverlayPlan> {
    return planOverlay(this.context, desired, edit);
  }

  inventory(): Promise<Inventory> {
    return takeInventory(this.context);
  }

  listForeignDomains(): Promise<ForeignDomain[]> {
    return this.context.hypervisor.ask('list the domains', listForeignDomains);
  }

  inspectForeignDomain(cloudId: string, nameOrUuid: string): Promise<ForeignDomainDetails> {
    return this.context.hypervisor.ask(`look at ${nameOrUuid}`, (connection) =>
      inspectForeignDomain(this.context, connection, cloudId, nameOrUuid),
    );
  }

  async listInstances(cloudId: string): Promise<ObservedInstance[]> {
    const seen = await this.context.hypervisor.ask('list the domains', (connection) =>
      listSeenInstances(this.context, connection, cloudId),
    );
    return seen.map(({ instance }) => instance);
  }

  applyNetwork(desired: DesiredNetwork): Promise<ObservedNetwork> {
    return applyNetwork(this.context, desired);
  }

  deleteNetwork(network: { id: NetworkId; cloudId: string; uuid: string }): Promise<void> {
    return deleteNetwork(this.context, network);
  }

  listNetworks(cloudId: string): Promise<ObservedNetwork[]> {
    return this.context.hypervisor.ask('list the networks', (connection) =>
      listNetworks(this.context, connection, cloudId),
    );
  }

  importImage(desired: DesiredImage, call: CallContext = {}): Promise<ObservedImage> {
    return importImage(this.context, desired, call);
  }

  deleteImage(image: { id: ImageId; cloudId: string }): Promise<void> {
    return deleteImage(this.context, image);
  }

  listImages(cloudId: string): Promise<ObservedImage[]> {
    return listImages(this.context.storage, cloudId);
  }

  applyVolume(desired: DesiredVolume, call: CallContext = {}): Promise<ObservedVolume> {
    return applyVolume(this.context, desired, call);
  }

  deleteVolume(volume: VolumeToDelete, call: CallContext = {}): Promise<void> {
    return deleteVolume(this.context, volume, call);
  }

  listVolumes(cloudId: string): Promise<ObservedVolume[]> {
    return listVolumes(this.context.storage, cloudId);
  }

  domainXml(id: InstanceId): Promise<string> {
    return domainXml(this.context, id);
  }

  consoleLog(id: InstanceId, tailBytes: number): Promise<{ bytes: Buffer; truncated: boolean }> {
    return readConsoleLog(this.context, id, tailBytes);
  }

  openConsole(id: InstanceId): Promise<Duplex> {
    return openConsole(this.context, id);
  }

  watch(cloudId: string, signal: AbortSignal): AsyncIterable<AgentEvent> {
    return watchHost(this.context, cloudId, signal);
  }

  async close(): Promise<void> {
    this.consoleLogs.stop();
    await this.stopReaping();
    this.context.accelerator.close();
    await this.context.hypervisor.close();
  }
}
