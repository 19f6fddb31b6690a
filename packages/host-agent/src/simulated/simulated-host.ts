// The machine behind a simulated agent: what is stored and defined on it, what its guests do, and what people with virsh
// do to them. Owns every change of state; each happens at once and whole, and is told to whoever listens. Knows nothing of
// calls, steps, or failures. Guests live by the clock, so they go on, and shut down, while no process looks.
import type { HostFeature } from '@virga/contract/agent/host-features';
import type { AgentEvent, ObservedInstance, ObservedReason } from '@virga/contract/agent/observed';
import type { InstanceId, NetworkId, SnapshotId, VolumeId } from '@virga/contract/ids';
import type { Clock } from '../clock.ts';
import type { CpuLayout } from '../host-topology/cpu-layout.ts';
import { observedSizes, startingSizes } from './guest-sizes.ts';
import {
  desiredDevices,
  isBootable,
  nameOf,
  type SimulatedPools,
  type StoredDomain,
  type StoredNetwork,
} from './host-records.ts';
import { HostStore } from './host-store.ts';

export type HostListener = {
  onEvent(cloudId: string, event: AgentEvent): void;
  /** What a guest printed on its serial console. */
  onPrint(id: InstanceId, text: string): void;
  /** The host has booted: what was before can only be seen by looking at everything. */
  onBoot(): void;
};

const self = 'host';

const consoleLimitBytes = 16 * 1024;

export class SimulatedHost {
  readonly store: HostStore;
  /** Bytes on the storage that are not Virga's. */
  otherBytes = 0;
  storageBytes: number;
  /** Guests without ACPI support: asked to stop, they go on. */
  readonly stubborn = new Set<InstanceId>();
  /** Guests that keep the memory they have. */
  readonly keeping = new Set<InstanceId>();
  guestsAnswerAcpi = true;
  /** Volumes that are just being made of snapshots. */
  readonly copies = new Map<VolumeId, SnapshotId>();
  /** Encrypted volumes whose passphrase it has been given since it began. */
  readonly opened = new Set<VolumeId>();
  /** Guests that let go of no device. */
  readonly clinging = new Set<InstanceId>();
  /** Its CPUs, as its agent was opened with. */
  cpuLayout: CpuLayout = { online: [0], isolated: [], nodes: new Map([[0, [0]]]) };
  /** What it can give a machine. */
  features: HostFeature[] = [
    'uefi',
    'uefi-secure',
    'tpm',
    'emulated',
    'legacy',
    'cpu-limits',
    'huge-pages-2m',
    'huge-pages-1g',
  ];
  /** Static huge pages that it has reserved, by size in KiB, in each node. */
  readonly hugePages = new Map<number, number[]>([
    [2048, []],
    [1_048_576, []],
  ]);
  /** What others leave of its memory; null: all. */
  availableMib: number | null = null;

  /** What its disk says of its write cache. */
  diskCache: 'safe' | 'volatile' = 'safe';
  hasIoUring = true;
  readonly pools: SimulatedPools = { poolBytes: 1024 ** 4, awayPools: new Set() };

  private readonly clock: Clock;
  private readonly listeners = new Set<HostListener>();
  private readonly ended = new AbortController();
  private readonly waitedFor = new Set<InstanceId>();

  constructor(options: { stateFile: string | undefined; storageBytes: number; clock: Clock }) {
    this.clock = options.clock;
    this.storageBytes = options.storageBytes;
    this.store = new HostStore(options.stateFile);
    for (const { record } of this.store.domains.all()) this.awaitShutdown(record.instanceId);
  }

  /** Joins an agent to the host. */
  join(listener: HostListener): void {
    this.listeners.add(listener);
  }

  /** The last one to leave closes the store. */
  leave(listener: HostListener): void {
    if (!this.listeners.delete(listener) || this.listeners.size > 0) return;
    this.ended.abort();
    this.store.close();
  }

  get bootId(): string {
    return `boot-${this.store.boots.get(self)?.count ?? 1}`;
  }

  /** Power is lost and comes back. No guest runs, and nothing is recorded of why. */
  reboot(): void {
    this.store.boots.set(self, { count: (this.store.boots.get(self)?.count ?? 1) + 1 });
    for (const domain of this.store.domains.all()) {
      const id = domain.record.instanceId;
      // Saved memory outlives it; why a guest is off does not.
      if (domain.power === 'off') {
        if (domain.savedMemory) this.store.domains.set(id, { ...domain, reason: 'unknown' });
        continue;
      }
      const off = { power: 'off', reason: 'unknown', askedToStopUntilMs: null, offAtMs: null } as const;
      if (domain.isDefined) this.store.domains.set(id, { ...domain, ...off });
      else this.store.domains.delete(id);
    }
    // Settings of the kernel end with it.
    for (const [path] of [...this.store.files.entries()]) {
      if (/^\/(sys|proc)\//.test(path)) this.store.files.delete(path);
    }
    for (const listener of this.listeners) listener.onBoot();
  }

  freeBytes(): number {
    const images = this.store.images.all().reduce((sum, image) => sum + image.fileSizeBytes, 0);
    const disks = this.store.folders.all().reduce((sum, folder) => sum + (folder.rootDiskBytes ?? 0), 0);
    const own = this.store.volumes.all().filter(({ poolId }) => poolId === undefined);
    const volumes = own.reduce((sum, volume) => sum + (volume.fileBytes ?? 0), 0);
    return Math.max(0, this.storageBytes - this.otherBytes - images - disks - volumes);
  }

  /** The domain of an instance as it is now. */
  domain(id: InstanceId): StoredDomain | undefined {
    this.settle(id);
    return this.store.domains.get(id);
  }

  /** Undefined when nothing of the instance is here. */
  observe(id: InstanceId): ObservedInstance | undefined {
    const domain = this.domain(id);
    const folder = this.store.folders.get(id);
    if (domain === undefined) {
      if (folder === undefined || folder.owner.released || folder.owner.clone) return undefined;
      const { cloudId, domainName } = folder.owner;
      return {
        id,
        cloudId,
        generation: 0,
        state: 'absent',
        reason: folder.hasLeft ? 'migrated' : 'undefined',
        intact: false,
        leftovers: true,
        domainName,
      };
    }
    const isAdopted = domain.record.desired.origin === 'adopted';
    const hasFiles = folder !== undefined && folder.rootDiskBytes !== null && folder.hasSeed;
    return {
      id,
      cloudId: domain.record.cloudId,
      generation: domain.record.generation,
      state: stateOf(domain),
      reason: domain.reason,
      intact: domain.isDefined && (isAdopted || hasFiles),
      leftovers: false,
      domainName: nameOf(domain),
      ...(domain.isMoving && { moving: true }),
      ...(isAdopted && { adopted: true }),
      ...(domain.record.desired.warm && { warm: true }),
      ...observedSizes(domain),
    };
  }

  /** Instances of a cloud, of which there is a domain or files. */
  observeAll(cloudId: string): ObservedInstance[] {
    const ids = new Set<InstanceId>();
    for (const { owner } of this.store.folders.all())
      if (owner.cloudId === cloudId && !owner.released && !owner.clone) ids.add(owner.id);
    for (const { record } of this.store.domains.all()) if (record.cloudId === cloudId) ids.add(record.instanceId);
    return [...ids].flatMap((id) => this.observe(id) ?? []);
  }

  /** Whether a guest keeps what is pulled out of it. One that stands still cannot let go. */
  clings(id: InstanceId): boolean {
    return this.clinging.has(id) || this.domain(id)?.power === 'paused';
  }

  /** Whether a guest has no driver that gives memory back. */
  keepsMemory(id: InstanceId): boolean {
    return this.keeping.has(id);
  }

  answersAcpi(id: InstanceId): boolean {
    return this.guestsAnswerAcpi && !this.stubborn.has(id);
  }

  /** Puts a domain in place, and tells of it. */
  setDomain(id: InstanceId, domain: StoredDomain): void {
    this.store.domains.set(id, domain);
    this.report(id, domain.record.cloudId);
  }

  startGuest(id: InstanceId, domain: StoredDomain): void {
    const boots = domain.boots + 1;
    if (isBootable(domain.record.desired) || this.store.folders.get(id)?.isCopy)
      this.print(id, `[boot ${boots}] ${domain.record.desired.seed.hostName}\r\n`);
    this.setDomain(id, {
      ...domain,
      boots,
      power: 'running',
      reason: 'booted',
      devices: desiredDevices(domain.record.desired),
      sizes: startingSizes(domain.record.desired),
      savedMemory: undefined,
      isUnbooted: undefined,
      ran: undefined,
      askedToStopUntilMs: null,
      offAtMs: null,
    });
  }

  /** The guest stands still from its start on; it boots when it goes on. */
  startPaused(id: InstanceId, domain: StoredDomain): void {
    const isUnbooted = domain.savedMemory === 'whole' ? domain.isUnbooted : true;
    const paused = { power: 'paused', reason: 'suspended', savedMemory: undefined } as const;
    this.setDomain(id, { ...domain, ...paused, isUnbooted, askedToStopUntilMs: null, offAtMs: null });
  }

  resumeGuest(id: InstanceId, domain: StoredDomain): void {
    if (domain.isUnbooted) this.startGuest(id, domain);
    else this.setDomain(id, { ...domain, power: 'running', reason: 'booted' });
    this.awaitShutdown(id);
  }

  /** The guest goes on from its saved memory, if that is worth anything. */
  wakeGuest(id: InstanceId, domain: StoredDomain): void {
    if (domain.savedMemory === 'whole') {
      this.setDomain(id, { ...domain, power: 'running', reason: 'restored', savedMemory: undefined, ran: undefined });
    } else this.startGuest(id, domain);
  }

  /** The guest is off, its memory is saved. */
  saveGuest(id: InstanceId, domain: StoredDomain): void {
    if (!domain.isDefined) throw new Error(`the domain of ${id} is transient: its memory cannot be saved`);
    const saved = { power: 'off', reason: 'suspended', savedMemory: 'whole' } as const;
    this.setDomain(id, { ...domain, ...saved, askedToStopUntilMs: null, offAtMs: null });
  }

  /** The guest is off. A domain that nobody defines any more goes with it. */
  endGuest(id: InstanceId, domain: StoredDomain, reason: ObservedReason): void {
    if (domain.isDefined) {
      this.setDomain(id, { ...domain, power: 'off', reason, askedToStopUntilMs: null, offAtMs: null });
    } else {
      this.removeDomain(id, domain);
    }
  }

  /** Presses the power button. What the guest makes of it is its own affair. */
  askGuestToStop(id: InstanceId, domain: StoredDomain, guestShutdownMs: number): void {
    const listens = domain.power === 'running' && this.answersAcpi(id);
    const offAtMs = domain.offAtMs ?? (listens ? this.clock.now() + guestShutdownMs : null);
    this.setDomain(id, { ...domain, offAtMs });
    this.settle(id);
    this.awaitShutdown(id);
  }

  removeDomain(id: InstanceId, domain: StoredDomain): void {
    this.store.domains.delete(id);
    this.report(id, domain.record.cloudId);
  }

  /** Tells how an instance is now. */
  report(id: InstanceId, cloudId: string): void {
    const instance = this.observe(id) ?? gone(id, cloudId);
    this.tell(cloudId, { type: 'instance', instance });
  }

  setNetwork(stored: StoredNetwork): void {
    this.store.networks.set(stored.network.id, stored);
    this.tell(stored.network.cloudId, { type: 'network-changed', id: stored.network.id });
  }

  removeNetwork(id: NetworkId): void {
    const stored = this.store.networks.get(id);
    this.store.networks.delete(id);
    if (stored !== undefined) this.tell(stored.network.cloudId, { type: 'network-changed', id });
  }

  /** The guest prints on its serial console. */
  print(id: InstanceId, text: string): void {
    const folder = this.store.folders.get(id);
    if (folder === undefined) return;
    this.store.folders.set(id, { ...folder, consoleLog: (folder.consoleLog + text).slice(-consoleLimitBytes) });
    for (const listener of this.listeners) listener.onPrint(id, text);
  }

  tell(cloudId: string, event: AgentEvent): void {
    for (const listener of this.listeners) listener.onEvent(cloudId, event);
  }

  /** Lets a shutdown that is due have happened. */
  private settle(id: InstanceId): void {
    const domain = this.store.domains.get(id);
    if (domain === undefined || domain.offAtMs === null || domain.power !== 'running') return;
    if (domain.offAtMs <= this.clock.now()) this.endGuest(id, domain, 'guest-shutdown');
  }

  /** The only timer there is: one for each guest that is shutting down. */
  awaitShutdown(id: InstanceId): void {
    const domain = this.store.domains.get(id);
    if (domain === undefined || domain.power !== 'running' || domain.offAtMs === null || this.waitedFor.has(id)) return;
    const { offAtMs } = domain;
    this.waitedFor.add(id);
    const onEnd = () => {
      this.waitedFor.delete(id);
      if (this.ended.signal.aborted) return;
      this.settle(id);
      this.awaitShutdown(id);
    };
    this.clock.delay(Math.max(0, offAtMs - this.clock.now()), this.ended.signal).then(onEnd, onEnd);
  }
}

function stateOf({ power, askedToStopUntilMs, savedMemory }: StoredDomain): ObservedInstance['state'] {
  if (power === 'off') return savedMemory === undefined ? 'stopped' : 'hibernated';
  if (askedToStopUntilMs !== null && power === 'running') return 'stopping';
  return power;
}

function gone(id: InstanceId, cloudId: string): ObservedInstance {
  const nothing = { generation: 0, intact: false, leftovers: false, domainName: '' };
  return { id, cloudId, state: 'absent', reason: 'undefined', ...nothing };
}
