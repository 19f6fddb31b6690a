// What others do to a simulated host: people with virsh, guests themselves, the world. For tests. Acts at once, and works
// also while the agent cannot be reached; an act that virsh would refuse throws.
import { randomUUID } from 'node:crypto';
import type { HostFeature } from '@virga/contract/agent/host-features';
import type { InstanceId, NetworkId, VolumeId } from '@virga/contract/ids';
import type { StoredDomain, StoredForeignDomain } from './host-records.ts';
import { simulatedDefinition, simulatedDrift } from './simulated-definitions.ts';
import type { SimulatedHost } from './simulated-host.ts';
import { giveMemoryBack } from './simulated-sizes.ts';

export type OutsideControls = {
  /** `virsh shutdown`: the guest takes its time, or ignores it. */
  shutdownOutside(id: InstanceId): void;
  destroyOutside(id: InstanceId): void;
  /** `virsh undefine`: a running guest goes on, and its domain is gone when it stops. Files stay. */
  undefineOutside(id: InstanceId): void;
  startOutside(id: InstanceId): void;
  suspendOutside(id: InstanceId): void;
  resumeOutside(id: InstanceId): void;
  /** `virsh managedsave`, and `virsh managedsave-remove`. */
  saveOutside(id: InstanceId): void;
  removeSaveOutside(id: InstanceId): void;
  /** The file of the saved memory is overwritten with something else. */
  breakSave(id: InstanceId): void;
  /** `virsh domrename`. */
  renameOutside(id: InstanceId, name: string): void;
  /** QEMU stops the guest because there is no room for what it writes. */
  stopForSpace(id: InstanceId): void;
  /** The guest powers itself off. */
  stopFromInside(id: InstanceId): void;
  /** QEMU dies. */
  crash(id: InstanceId): void;
  /** The host loses power and comes back: nothing runs, nothing is recorded of why. */
  rebootHost(): void;
  removeDiskOutside(id: InstanceId): void;
  removeSeedOutside(id: InstanceId): void;
  destroyNetworkOutside(id: NetworkId): void;
  undefineNetworkOutside(id: NetworkId): void;
  /** Somebody else's domain of that name. */
  defineForeignDomain(name: string, changes?: Partial<StoredForeignDomain>): void;
  /** Its end. Throws when it is no longer there. */
  undefineForeignDomain(name: string): void;
  startForeignDomain(name: string): void;
  /** The end of a domain that was an instance, and of its files. */
  removeReleased(name: string, id: InstanceId): void;
  /** How often the guest of any domain has booted. */
  bootsOf(name: string): number;
  /** `virsh edit`: what it makes of the definition. Quietly: nothing is told of it. */
  editOutside(id: InstanceId, edit: (xml: string) => string, quietly?: 'quietly'): void;
  /** Whether the guest answers the power button; without an id, every guest. Default true. */
  answerAcpi(answers: boolean, id?: InstanceId): void;
  /** Whether the guest keeps the memory that it is asked to give back. It gives it back once it does not. Default false. */
  keepMemory(keeps: boolean, id: InstanceId): void;
  /** What the guest sees of the size of its root disk. */
  diskSizeBytes(id: InstanceId): number;
  /** `virsh vcpupin --live`, `emulatorpin --live`. */
  pinOutside(id: InstanceId, cpus: number[]): void;
  /** `virsh schedinfo --live`: in shares, and in percent of a CPU. */
  weighOutside(id: InstanceId, weight: { shares: number; capPercent: number }): void;
  /** Whether the guest lets go of devices that are pulled. Default true. */
  letGo(lets: boolean, id: InstanceId): void;
  /** What the host cannot give a machine any more, or can again. It tells when it is looked at anew. */
  lackFeature(feature: HostFeature, lacks?: boolean): void;
  /** Somebody removes the disk of a volume, or brings it back. */
  removeVolumeOutside(id: VolumeId): void;
  restoreVolumeOutside(id: VolumeId): void;
  /** Files of somebody else's leave that much free; null takes them away. */
  fillStorage(freeBytes: number | null): void;
  /** How often the guest has booted. */
  bootCount(id: InstanceId): number;
};

const foreignDomain = {
  state: 'stopped',
  vcpus: 1,
  maxVcpus: 1,
  memoryMib: 16,
  maxMemoryMib: 16,
  firmware: 'bios',
  persistent: true,
  diskBytes: 0,
  nics: [],
  boots: 0,
} as const satisfies Partial<StoredForeignDomain>;

export function outsideControls(host: SimulatedHost, guestShutdownMs: number): OutsideControls {
  const { store } = host;
  const domain = (id: InstanceId): StoredDomain => {
    const found = host.domain(id);
    if (found === undefined) throw new Error(`there is no domain of ${id}`);
    return found;
  };
  const active = (id: InstanceId): StoredDomain => {
    const found = domain(id);
    if (found.power === 'off') throw new Error(`the domain of ${id} is not running`);
    return found;
  };
  const saved = (id: InstanceId): StoredDomain => {
    const found = domain(id);
    if (found.savedMemory === undefined) throw new Error(`the domain of ${id} has no saved memory`);
    return found;
  };
  const changeVolume = (id: VolumeId, fileBytes: number | null) => {
    const volume = store.volumes.get(id);
    if (volume !== undefined) store.volumes.set(id, { ...volume, fileBytes });
  };
  const changeFolder = (id: InstanceId, part: { rootDiskBytes: null } | { hasSeed: false }) => {
    const folder = store.folders.get(id);
    if (folder !== undefined) store.folders.set(id, { ...folder, ...part });
  };
  return {
    lackFeature: (feature, lacks = true) => {
      host.features = host.features.filter((one) => one !== feature).concat(lacks ? [] : [feature]);
    },
    shutdownOutside: (id) => host.askGuestToStop(id, active(id), guestShutdownMs),
    destroyOutside: (id) => host.endGuest(id, active(id), 'destroyed'),
    undefineOutside: (id) => {
      const found = domain(id);
      if (found.power === 'off') host.removeDomain(id, found);
      else host.setDomain(id, { ...found, isDefined: false });
    },
    startOutside: (id) => {
      const found = domain(id);
      if (found.power !== 'off') throw new Error(`the domain of ${id} is already running`);
      if (found.savedMemory === undefined) host.startGuest(id, found);
      else host.wakeGuest(id, found);
    },
    suspendOutside: (id) => host.setDomain(id, { ...active(id), power: 'paused', reason: 'suspended' }),
    resumeOutside: (id) => host.resumeGuest(id, active(id)),
    saveOutside: (id) => host.saveGuest(id, active(id)),
    // Nobody is told of these, as by libvirt.
    removeSaveOutside: (id) => store.domains.set(id, { ...saved(id), savedMemory: undefined }),
    breakSave: (id) => store.domains.set(id, { ...saved(id), savedMemory: 'broken' }),
    renameOutside: (id, name) => {
      const found = domain(id);
      if (found.power !== 'off' || found.savedMemory) throw new Error(`the domain of ${id} is not simply off`);
      host.setDomain(id, { ...found, name });
    },
    stopForSpace: (id) => host.setDomain(id, { ...active(id), power: 'paused', reason: 'storage-full' }),
    stopFromInside: (id) => host.endGuest(id, active(id), 'guest-shutdown'),
    crash: (id) => host.endGuest(id, active(id), 'crashed'),
    rebootHost: () => host.reboot(),
    removeDiskOutside: (id) => changeFolder(id, { rootDiskBytes: null }),
    removeSeedOutside: (id) => changeFolder(id, { hasSeed: false }),
    destroyNetworkOutside: (id) => {
      const stored = store.networks.get(id);
      if (stored === undefined) throw new Error(`there is no network ${id}`);
      host.setNetwork({ ...stored, active: false });
    },
    undefineNetworkOutside: (id) => host.removeNetwork(id),
    defineForeignDomain: (name, changes) =>
      store.foreignDomains.set(name, { ...foreignDomain, name, uuid: randomUUID(), ...changes }),
    undefineForeignDomain: (name) => {
      if (store.foreignDomains.get(name) === undefined) throw new Error(`there is no domain ${name}`);
      store.foreignDomains.delete(name);
    },
    startForeignDomain: (name) => {
      const found = store.foreignDomains.get(name);
      if (found === undefined) throw new Error(`there is no domain ${name}`);
      store.foreignDomains.set(name, { ...found, state: 'running', boots: found.boots + 1 });
    },
    removeReleased: (name, id) => {
      store.foreignDomains.delete(name);
      store.folders.delete(id);
    },
    bootsOf: (name) => {
      const ours = store.domains.all().find(({ record }) => record.desired.domainName === name);
      return ours?.boots ?? store.foreignDomains.get(name)?.boots ?? 0;
    },
    editOutside: (id, edit, quietly) => {
      const found = domain(id);
      const changedTo = edit(simulatedDefinition(host, id).effective);
      store.domains.set(id, { ...found, changedTo });
      const drift = quietly ? undefined : simulatedDrift(host, id);
      if (drift !== undefined)
        host.tell(found.record.cloudId, { type: 'drift', id, cloudId: found.record.cloudId, drift });
    },
    answerAcpi: (answers, id) => {
      if (id === undefined) host.guestsAnswerAcpi = answers;
      else if (answers) host.stubborn.delete(id);
      else host.stubborn.add(id);
    },
    letGo: (lets, id) => {
      if (!lets) host.clinging.add(id);
      else if (host.clinging.delete(id)) {
        const found = host.domain(id);
        if (found !== undefined) host.report(id, found.record.cloudId);
      }
    },
    removeVolumeOutside: (id) => changeVolume(id, null),
    restoreVolumeOutside: (id) => changeVolume(id, 1),
    keepMemory: (keeps, id) => {
      if (keeps) host.keeping.add(id);
      else if (host.keeping.delete(id)) giveMemoryBack(host, id, active(id));
    },
    pinOutside: (id, cpus) => {
      const found = active(id);
      store.domains.set(id, { ...found, ran: { ...found.ran, cpus } });
    },
    weighOutside: (id, weight) => {
      const found = active(id);
      store.domains.set(id, { ...found, ran: { ...found.ran, ...weight } });
    },
    diskSizeBytes: (id) => store.folders.get(id)?.diskSizeBytes ?? 0,
    fillStorage: (freeBytes) => {
      host.otherBytes = 0;
      if (freeBytes !== null) host.otherBytes = Math.max(0, host.freeBytes() - freeBytes);
    },
    bootCount: (id) => host.domain(id)?.boots ?? 0,
  };
}
