// The host agent of a host that does not exist: same states, timings and failures as a real one, without KVM. Thousands
// fit in one process: a host is a few tables, and has no timer while no guest is shutting down. With a state file the
// host outlives a SIGKILL of the process, and its guests go on meanwhile.
import type { Duplex } from 'node:stream';
import type { CallContext, HostAgent, HostAgentParts } from '@virga/contract/agent/agent';
import type { Definition, DefinitionEdit, ObservedDrift, OverlayPlan } from '@virga/contract/agent/definition';
import type { DesiredImage, DesiredInstance, DesiredNetwork, InstanceIdentity } from '@virga/contract/agent/desired';
import type { ForeignDomain, ForeignDomainDetails } from '@virga/contract/agent/foreign';
import type { HostFacts } from '@virga/contract/agent/host-facts';
import type { Inventory } from '@virga/contract/agent/inventory';
import type { AgentEvent, ObservedImage, ObservedInstance, ObservedNetwork } from '@virga/contract/agent/observed';
import type { DesiredVolume, ObservedVolume, VolumeToDelete } from '@virga/contract/agent/volumes';
import { type ErrorCode, VirgaError } from '@virga/contract/errors';
import type { ImageId, InstanceId } from '@virga/contract/ids';
import { type Logger, pino } from 'pino';
import { type Clock, systemClock } from '../clock.ts';
import { KeyedLock } from '../keyed-lock.ts';
import { placedRoot } from '../libvirt/instances/instance-folder.ts';
import { pendingDriverNotes } from '../pending-drivers.ts';
import { pendingMemoryNotes } from '../pending-memory.ts';
import type { StepHook } from '../step-hook.ts';
import { type CallSteps, Calls, unreachable } from './call-steps.ts';
import { convergeInstance } from './converge-instance.ts';
import { EventFeed } from './event-feed.ts';
import { type Fault, FaultInjection } from './fault-injection.ts';
import { inspectForeignDomain, listForeignDomains, releaseInstance } from './foreign-domains.ts';
import { type OutsideControls, outsideControls } from './outside-controls.ts';
import { removeInstance } from './remove-instance.ts';
import { SerialConsole } from './serial-console.ts';
import { simulatedGuestAccess, simulatedScreenAccess } from './simulated-access.ts';
import { type BackupControls, backupControls, simulatedBackups } from './simulated-backups.ts';
import { type BenchControls, benchControls, simulatedBench } from './simulated-bench.ts';
import { simulatedBuilding } from './simulated-building.ts';
import { type CheckControls, checkControls, simulatedChecks } from './simulated-checks.ts';
import { layoutOf, simulatedCpus } from './simulated-cpus.ts';
import { forgetChange, planSimulatedOverlay, simulatedDefinition, simulatedDrift } from './simulated-definitions.ts';
import { type DiskControls, diskControls, simulatedDiskLooking } from './simulated-disks.ts';
import { simulatedDomainXml } from './simulated-domain-xml.ts';
import { simulatedFetching } from './simulated-fetching.ts';
import { type GuestControls, guestControls } from './simulated-guest.ts';
import { hostFacts, type SimulatedHardware } from './simulated-hardware.ts';
import { type HostListener, SimulatedHost } from './simulated-host.ts';
import { simulatedImageCopies } from './simulated-image-copies.ts';
import { importImage, removeImage, toObservedImage } from './simulated-images.ts';
import { simulatedInstruments } from './simulated-instruments.ts';
import { takeInventory } from './simulated-inventory.ts';
import { simulatedKeepsakes } from './simulated-keepsakes.ts';
import type { LoadControls } from './simulated-load.ts';
import { type MemoryControls, memoryControls, memoryFacts, simulatedMemory } from './simulated-memory.ts';
import { joinMigrations, type MigrationControls, migrationControls } from './simulated-migration.ts';
import { simulatedMoving } from './simulated-moves.ts';
import { applyNetwork, observeNetwork, removeNetwork } from './simulated-networks.ts';
import { type PoolControls, poolControls, requireRootPool, simulatedPools } from './simulated-pools.ts';
import { simulatedSnapshots } from './simulated-snapshots.ts';
import { defaultTimings, type SimulatedTimings } from './simulated-timings.ts';
import { type HostFileControls, simulatedTuning } from './simulated-tuning.ts';
import { loadControls, simulatedMeasuring } from './simulated-usage.ts';
import { applyVolume, observeVolume, removeVolume } from './simulated-volumes.ts';
import { beginWarm, simulatedWarm } from './simulated-warm.ts';

export type SimulatedAgentOptions = Partial<SimulatedHardware> & {
  name: string;
  /** Where the host is written down; without it the host ends with the process. */
  stateFile?: string | undefined;
  /** Default {@link defaultTimings}, those of a real host. */
  timings?: Partial<SimulatedTimings> | undefined;
  faults?: readonly Fault[] | undefined;
  log?: Logger | undefined;
  clock?: Clock | undefined;
  hook?: StepHook | undefined;
};

export type FailureControls = {
  /** The next calls of a method, or steps of a name, fail. */
  failNext(at: string, error: ErrorCode | Error, options?: { times?: number; resourceId?: string }): void;
  stopFailing(): void;
  /** Calls fail with HostUnavailable and watchers are told so, until {@link comeBack}. Guests go on. */
  goUnreachable(): void;
  comeBack(): void;
  /** Everything takes that many times as long. */
  slowDown(factor: number): void;
};

export type SimulatedAgent = HostAgent &
  OutsideControls &
  GuestControls &
  BackupControls &
  BenchControls &
  CheckControls &
  DiskControls &
  HostFileControls &
  LoadControls &
  MemoryControls &
  MigrationControls &
  PoolControls &
  FailureControls & {
    /** Another agent for the same host, as after a restart of its process. The host ends with the last one. */
    reopen(): SimulatedAgent;
  };

const defaultStorageBytes = 2 * 1024 ** 4;
const silent = pino({ enabled: false });

export function openSimulatedAgent(options: SimulatedAgentOptions): SimulatedAgent {
  const { stateFile, storageBytes = defaultStorageBytes, clock = systemClock } = options;
  return openOn(new SimulatedHost({ stateFile, storageBytes, clock }), options);
}

function openOn(host: SimulatedHost, options: SimulatedAgentOptions): SimulatedAgent {
  const timings = { ...defaultTimings, ...options.timings };
  const faults = new FaultInjection(options.faults);
  const agent = new Agent(host, options, timings, faults);
  const controls: FailureControls = {
    failNext: (at, error, more) => faults.add({ at, error, ...more }),
    stopFailing: () => faults.clear(),
    goUnreachable: () => agent.setReachable(false),
    comeBack: () => agent.setReachable(true),
    slowDown: (factor) => {
      agent.calls.slowness = factor;
    },
  };
  const { listener, hangUpAll, ...screens } = simulatedScreenAccess(host, agent.calls);
  host.join(listener);
  const close = async () => {
    hangUpAll();
    host.leave(listener);
    await agent.leave();
  };
  joinMigrations(agent, host);
  return Object.assign(
    agent,
    migrationControls(host),
    simulatedGuestAccess(host, agent.calls, options.clock ?? systemClock),
    screens,
    simulatedBackups(host, agent.calls),
    backupControls(host),
    simulatedBench(host, agent.calls),
    simulatedBuilding(host, agent.calls),
    benchControls(host),
    simulatedChecks(host, agent.calls),
    simulatedDiskLooking(host, agent.calls, options.name),
    diskControls(host),
    checkControls(host),
    simulatedImageCopies(host, agent.calls),
    simulatedPools(host, agent.calls),
    poolControls(host),
    simulatedTuning(host, agent.hardware, agent.calls, options.hook),
    simulatedInstruments(host, agent.calls, options.clock ?? systemClock),
    simulatedMemory(host, agent.calls, agent.hardware),
    memoryControls(host),
    simulatedCpus(host, agent.calls, agent.hardware),
    simulatedKeepsakes(host, agent.calls),
    simulatedFetching(host, agent.calls),
    simulatedMeasuring(host, agent.calls, options.clock ?? systemClock, agent.hardware),
    loadControls(host, options.clock ?? systemClock),
    simulatedWarm(host, agent.calls),
    simulatedMoving(host, agent.calls, agent.locks),
    simulatedSnapshots(host, agent.calls, agent.locks),
    outsideControls(host, timings.guestShutdownMs),
    guestControls(host),
    controls,
    { reopen: () => openOn(host, options), close },
  );
}

class Agent implements Omit<HostAgent, keyof HostAgentParts | 'close'> {
  readonly host: SimulatedHost;
  readonly calls: Calls;
  private readonly name: string;
  readonly hardware: SimulatedHardware;
  private readonly clock: Clock;
  readonly locks = new KeyedLock();
  private readonly feeds = new Set<EventFeed>();
  private readonly listener: HostListener;
  private readonly consoles = new Map<InstanceId, Set<SerialConsole>>();

  constructor(host: SimulatedHost, options: SimulatedAgentOptions, timings: SimulatedTimings, faults: FaultInjection) {
    const { name, clock = systemClock, log = silent, hook } = options;
    const { cpuThreads = 64, memoryMib = 256 * 1024, storageBytes = defaultStorageBytes } = options;
    this.host = host;
    host.opened.clear();
    this.name = name;
    this.clock = clock;
    const { numaNodes, threadsPerCore, isolatedCpus, cpuFeatures } = options;
    this.hardware = { cpuThreads, memoryMib, storageBytes, numaNodes, threadsPerCore, isolatedCpus, cpuFeatures };
    host.cpuLayout = layoutOf(this.hardware);
    this.calls = new Calls({ hostName: name, clock, log, timings, faults, hook });
    this.listener = {
      onEvent: (cloudId, event) => this.tell(cloudId, event),
      onPrint: (id, text) => {
        for (const console of this.consoles.get(id) ?? []) console.print(text);
      },
      onBoot: () => this.booted(),
    };
    host.join(this.listener);
  }

  facts(context?: CallContext): Promise<HostFacts> {
    return this.calls.run('facts', this.name, context, () =>
      hostFacts(this.name, this.hardware, this.host, memoryFacts(this.host, this.hardware)),
    );
  }

  applyInstance(asked: DesiredInstance, context?: CallContext): Promise<ObservedInstance> {
    return this.act('applyInstance', asked.id, context, async (steps) => {
      const desired = { ...asked, rootDisk: placedRoot(asked.rootDisk, this.host.store.folders.get(asked.id)?.owner) };
      requireRootPool(this.host, desired);
      const before = this.host.domain(desired.id);
      const writes = (before?.record.generation ?? 0) < desired.generation || before?.power === 'off';
      const drift = writes ? simulatedDrift(this.host, desired.id, desired.settledDrift) : undefined;
      if (drift) return { ...this.host.observe(desired.id)!, drift };
      const redefined = !before?.isDefined && this.host.store.folders.get(desired.id)?.wasDefined === true;
      const begun = await beginWarm(this.host, desired, steps);
      await convergeInstance({ host: this.host, desired: begun, steps, now: () => this.clock.now() });
      if (writes) forgetChange(this.host, desired.id);
      const goesOn =
        before !== undefined && before.power !== 'off' && this.host.domain(desired.id)?.boots === before.boots;
      const was = before?.record.desired;
      const notes = goesOn && was ? [...pendingDriverNotes(was, desired), ...pendingMemoryNotes(was, desired)] : [];
      const observed = this.host.observe(desired.id)!;
      return { ...observed, ...(notes.length > 0 && { notes }), ...(redefined && { redefined }) };
    });
  }

  deleteInstance(instance: InstanceIdentity, context?: CallContext): Promise<void> {
    return this.act('deleteInstance', instance.id, context, (steps) => removeInstance(this.host, instance, steps));
  }

  releaseInstance(instance: Pick<InstanceIdentity, 'id' | 'cloudId'>, context?: CallContext): Promise<void> {
    return this.act('releaseInstance', instance.id, context, (steps) => releaseInstance(this.host, instance, steps));
  }

  definition(id: InstanceId, context?: CallContext): Promise<Definition> {
    return this.calls.run('definition', id, context, () => simulatedDefinition(this.host, id));
  }

  findDrifts(cloudId: string, context?: CallContext): Promise<{ id: InstanceId; drift: ObservedDrift }[]> {
    return this.calls.run('findDrifts', this.name, context, () =>
      this.host.observeAll(cloudId).flatMap(({ id }) => {
        const drift = simulatedDrift(this.host, id);
        return drift ? [{ id, drift }] : [];
      }),
    );
  }

  planOverlay(desired: DesiredInstance, edit: DefinitionEdit, context?: CallContext): Promise<OverlayPlan> {
    return this.calls.run('planOverlay', desired.id, context, () => planSimulatedOverlay(this.host, desired, edit));
  }

  inventory(context?: CallContext): Promise<Inventory> {
    return this.calls.run('inventory', this.name, context, () => takeInventory(this.host));
  }

  listForeignDomains(context?: CallContext): Promise<ForeignDomain[]> {
    return this.calls.run('listForeignDomains', this.name, context, () => listForeignDomains(this.host));
  }

  inspectForeignDomain(_: string, nameOrUuid: string, context?: CallContext): Promise<ForeignDomainDetails> {
    return this.calls.run('inspectForeignDomain', this.name, context, () =>
      inspectForeignDomain(this.host, nameOrUuid),
    );
  }

  listInstances(cloudId: string, context?: CallContext): Promise<ObservedInstance[]> {
    return this.calls.run('listInstances', this.name, context, () => this.host.observeAll(cloudId));
  }

  applyNetwork(desired: DesiredNetwork, context?: CallContext): Promise<ObservedNetwork> {
    return this.act('applyNetwork', desired.id, context, (steps) => applyNetwork(this.host, desired, steps));
  }

  deleteNetwork(network: Pick<DesiredNetwork, 'id' | 'cloudId' | 'uuid'>, context?: CallContext): Promise<void> {
    return this.act('deleteNetwork', network.id, context, (steps) => removeNetwork(this.host, network, steps));
  }

  listNetworks(cloudId: string, context?: CallContext): Promise<ObservedNetwork[]> {
    return this.calls.run('listNetworks', this.name, context, () => this.networksOf(cloudId));
  }

  importImage(desired: DesiredImage, context?: CallContext): Promise<ObservedImage> {
    return this.act('importImage', desired.id, context, (steps) => importImage(this.host, desired, steps));
  }

  deleteImage(image: { id: ImageId; cloudId: string }, context?: CallContext): Promise<void> {
    return this.act('deleteImage', image.id, context, (steps) => removeImage(this.host, image, steps));
  }

  listImages(cloudId: string, context?: CallContext): Promise<ObservedImage[]> {
    return this.calls.run('listImages', this.name, context, () =>
      this.host.store.images
        .all()
        .filter((image) => image.cloudId === cloudId)
        .map(toObservedImage),
    );
  }

  applyVolume(desired: DesiredVolume, context?: CallContext): Promise<ObservedVolume> {
    return this.act('applyVolume', desired.id, context, (steps) => applyVolume(this.host, desired, steps));
  }

  deleteVolume(volume: VolumeToDelete, context?: CallContext): Promise<void> {
    return this.act('deleteVolume', volume.id, context, (steps) => removeVolume(this.host, volume, steps));
  }

  listVolumes(cloudId: string, context?: CallContext): Promise<ObservedVolume[]> {
    return this.calls.run('listVolumes', this.name, context, () =>
      this.host.store.volumes
        .all()
        .filter((volume) => volume.cloudId === cloudId)
        .map(observeVolume),
    );
  }

  domainXml(id: InstanceId, context?: CallContext): Promise<string> {
    return this.calls.run('domainXml', id, context, () => simulatedDomainXml(this.host, id));
  }

  consoleLog(id: InstanceId, tailBytes: number): Promise<{ bytes: Buffer; truncated: boolean }> {
    return this.calls.run('consoleLog', id, undefined, () => {
      const printed = Buffer.from(this.host.store.folders.get(id)?.consoleLog ?? '');
      const truncated = printed.length > tailBytes;
      return { bytes: truncated ? printed.subarray(printed.length - tailBytes) : printed, truncated };
    });
  }

  openConsole(id: InstanceId): Promise<Duplex> {
    return this.calls.run('openConsole', id, undefined, () => {
      if ((this.host.domain(id)?.power ?? 'off') === 'off') throw notRunning(id);
      const open = this.consoles.get(id) ?? new Set();
      this.consoles.set(id, open);
      const console = new SerialConsole({
        onInput: (text) => this.host.print(id, text), // as a terminal does, the guest echoes
        onClose: () => {
          open.delete(console);
          if (open.size === 0) this.consoles.delete(id);
        },
      });
      open.add(console);
      return console;
    });
  }

  async *watch(cloudId: string, signal: AbortSignal): AsyncGenerator<AgentEvent, void, undefined> {
    if (signal.aborted || this.calls.isClosed) return;
    const feed = new EventFeed(cloudId);
    if (!this.calls.isReachable) feed.push(this.unreachableEvent());
    else feed.pushSnapshot();
    const end = () => feed.end();
    signal.addEventListener('abort', end, { once: true });
    this.feeds.add(feed);
    try {
      yield* feed.read(() => ({
        type: 'ready',
        bootId: this.host.bootId,
        instances: this.host.observeAll(cloudId),
        networks: this.networksOf(cloudId),
      }));
    } finally {
      this.feeds.delete(feed);
      signal.removeEventListener('abort', end);
    }
  }

  async leave(): Promise<void> {
    this.calls.isClosed = true;
    for (const feed of this.feeds) feed.end();
    for (const console of [...this.consoles.values()].flatMap((open) => [...open])) console.hangUp();
    this.host.leave(this.listener);
  }

  setReachable(isReachable: boolean): void {
    if (this.calls.isReachable === isReachable) return;
    this.calls.isReachable = isReachable;
    for (const feed of this.feeds) {
      if (isReachable) feed.pushSnapshot();
      else feed.push(this.unreachableEvent());
    }
  }

  private booted(): void {
    for (const console of [...this.consoles.values()].flatMap((open) => [...open])) console.hangUp();
    if (this.calls.isReachable) for (const feed of this.feeds) feed.pushSnapshot();
  }

  /** Acts on one resource are done one after the other. */
  private act<T>(
    method: string,
    id: string,
    context: CallContext | undefined,
    work: (steps: CallSteps) => Promise<T>,
  ): Promise<T> {
    return this.locks.run(id, () => this.calls.run(method, id, context, work));
  }

  private networksOf(cloudId: string): ObservedNetwork[] {
    return this.host.store.networks
      .all()
      .filter(({ network }) => network.cloudId === cloudId)
      .map(observeNetwork);
  }

  private unreachableEvent(): AgentEvent {
    const { detail, action } = unreachable(this.name);
    return { type: 'unreachable', detail, action };
  }

  private tell(cloudId: string, event: AgentEvent): void {
    if (event.type === 'instance' && event.instance.state !== 'running') this.hangUp(event.instance);
    if (!this.calls.isReachable) return;
    for (const feed of this.feeds) if (feed.cloudId === cloudId) feed.push(event);
  }

  private hangUp({ id, state }: ObservedInstance): void {
    if (state !== 'stopped' && state !== 'absent') return;
    for (const console of this.consoles.get(id) ?? []) console.hangUp();
  }
}

function notRunning(id: InstanceId): VirgaError {
  return new VirgaError('Conflict', {
    detail: `The instance ${id} does not run, so it has no console.`,
    action: 'Start it first.',
  });
}
