// Snapshots of a simulated host: records, with the refusals, the order and the states of a real one. No disk has any content;
// what a snapshot takes is the time for its files.
import type {
  MachineState,
  ObservedSnapshot,
  SnapshotConsistency,
  SnapshotKeeping,
  SnapshotToDelete,
} from '@virga/contract/agent/snapshots';
import type { InstanceId } from '@virga/contract/ids';
import type { KeyedLock } from '../keyed-lock.ts';
import { claimedOwner } from '../libvirt/instances/instance-folder.ts';
import { machineProfile } from '../libvirt/instances/machine-profile.ts';
import { beingMoved } from '../move-conflicts.ts';
import {
  domainMissing,
  hasClones,
  hasNoMemory,
  hasOtherDisks,
  instanceTaken,
  isAdopted,
  isBeingCopied,
  isHibernated,
  isOn,
  snapshotGone,
  snapshotMissing,
} from '../snapshot-conflicts.ts';
import type { CallSteps, Calls } from './call-steps.ts';
import { devicesOf, nameOf, type StoredDomain, type StoredSnapshot } from './host-records.ts';
import { requireKeys, requireSpace } from './host-rules.ts';
import type { SimulatedHost } from './simulated-host.ts';

const layerBytes = 256 * 1024;
const bytesPerMib = 1024 * 1024;

type Subject = Pick<SnapshotToDelete, 'cloudId' | 'instance'>;

export function simulatedSnapshots(host: SimulatedHost, calls: Calls, locks: KeyedLock): SnapshotKeeping {
  const { snapshots, folders } = host.store;
  const act = <T>(
    method: string,
    resourceId: string,
    instanceId: InstanceId,
    context: Parameters<Calls['run']>[2],
    work: (steps: CallSteps) => Promise<T>,
  ) => locks.run(instanceId, () => calls.run(method, resourceId, context, work));
  return {
    applySnapshot: (desired, context) =>
      act('applySnapshot', desired.id, desired.instance.id, context, async (steps) => {
        const domain = requireOwn(host, desired);
        const { mustExist, instance, ...asked } = desired;
        const present = snapshots.get(desired.id);
        if (present !== undefined) return observeSnapshot(host, present);
        if (mustExist) throw snapshotGone(desired.name, instance.domainName);
        if (domain.savedMemory !== undefined) throw isHibernated(nameOf(domain));
        const moved = disksOf(host, domain).flatMap(({ id }) => host.store.moves.get(id) ?? []);
        if (moved[0] !== undefined) throw beingMoved(moved[0].before);
        requireKeys(host, disksOf(host, domain));
        if (desired.memory && domain.power === 'off') throw hasNoMemory(nameOf(domain));
        await steps.take('snapshot-layers', 10, steps.timings.rootDiskMs, () =>
          requireSpace(host, layerBytes + (desired.memory ? domain.record.desired.memoryMib * bytesPerMib : 0)),
        );
        await steps.take('snapshot-act', 40, 0, () => {
          const consistency = consistencyOf(requireOwn(host, desired), desired.memory);
          const takenAt = new Date(calls.now()).toISOString();
          const disks = disksOf(host, domain);
          const machineState = machineStateOf(domain.record.desired);
          snapshots.set(desired.id, { ...asked, instanceId: instance.id, takenAt, consistency, machineState, disks });
        });
        return observeSnapshot(host, snapshots.get(desired.id)!);
      }),
    revertSnapshot: (asked, context) =>
      act('revertSnapshot', asked.id, asked.instance.id, context, async (steps) => {
        const domain = requireOwn(host, asked);
        const snapshot = snapshots.get(asked.id);
        if (snapshot?.cloudId !== asked.cloudId) throw snapshotMissing(asked.id);
        const isDone = folders.get(asked.instance.id)?.lastRevert === asked.token;
        if (isDone && (domain.power !== 'off' || !snapshot.memory)) return;
        if (domain.power !== 'off') throw isOn(nameOf(domain));
        if (domain.savedMemory !== undefined) throw isHibernated(nameOf(domain));
        refuseOthers(host, domain, snapshot);
        requireKeys(host, snapshot.disks);
        await steps.take('revert-layers', 10, steps.timings.rootDiskMs, () => requireSpace(host, layerBytes));
        await steps.take('define-layers', 40, steps.timings.defineMs, () => {
          const folder = folders.get(asked.instance.id);
          if (folder) folders.set(asked.instance.id, { ...folder, lastRevert: asked.token });
        });
        if (!snapshot.memory) return;
        await steps.take('revert-memory', 80, steps.timings.startMs, () => {
          const off = requireOwn(host, asked);
          if (off.power === 'off') host.wakeGuest(asked.instance.id, { ...off, savedMemory: 'whole' });
        });
      }),
    deleteSnapshot: (asked, context) =>
      act('deleteSnapshot', asked.id, asked.instance.id, context, async (steps) => {
        const snapshot = snapshots.get(asked.id);
        if (snapshot?.cloudId !== asked.cloudId) return;
        refuseInUse(host, snapshot);
        await steps.take('snapshot-forget', 10, 0, () => snapshots.set(asked.id, { ...snapshot, isForgotten: true }));
        if (host.domain(asked.instance.id)?.power !== 'running') requireKeys(host, snapshot.disks);
        await steps.take('merge-begin', 50, steps.timings.rootDiskMs, () => undefined);
        await steps.take('snapshot-end', 99, 0, () => snapshots.delete(asked.id));
      }),
    cancelDeletion: (asked, context) =>
      act('cancelDeletion', asked.id, asked.instance.id, context, async (steps) => {
        const snapshot = snapshots.get(asked.id);
        if (snapshot?.cloudId !== asked.cloudId) return { kept: false };
        if (!snapshot.isForgotten) return { kept: true };
        await steps.take('snapshot-end', 99, 0, () => snapshots.delete(asked.id));
        return { kept: false };
      }),
    listSnapshots: (cloudId, context) =>
      calls.run('listSnapshots', '', context, () =>
        snapshots
          .all()
          .filter((snapshot) => snapshot.cloudId === cloudId)
          .map((snapshot) => observeSnapshot(host, snapshot)),
      ),
    makeClone: (clone, context) =>
      act('makeClone', clone.id, clone.id, context, async (steps) => {
        const { id, cloudId, uuid, domainName, kind, rootDiskId } = clone;
        const snapshot = snapshots.get(clone.snapshot.id);
        const source = folders.get(clone.snapshot.instance.id);
        if (snapshot?.cloudId !== cloudId || source === undefined) throw snapshotMissing(clone.snapshot.id);
        const present = folders.get(id);
        if (present !== undefined && !present.owner.clone) throw instanceTaken(id);
        if (present?.rootDiskBytes) return;
        const clonedFrom = { instanceId: snapshot.instanceId, snapshotId: snapshot.id };
        const imageId = kind === 'linked' ? source.owner.imageId : null;
        const { ceph } = source.owner;
        const owner = { id, cloudId, uuid, domainName, imageId, clone: kind, clonedFrom };
        await steps.take('clone-folder', 5, steps.timings.folderMs, () =>
          folders.set(id, {
            owner: { ...owner, ...(ceph && { ceph: { ...ceph, id: rootDiskId } }) },
            ...{ rootDiskBytes: null, hasSeed: false, consoleLog: '' },
          }),
        );
        await steps.take('clone-disk', 20, steps.timings.rootDiskMs, () => {
          requireSpace(host, layerBytes);
          const isCopy = kind === 'full' && (source.owner.imageId !== null || source.isCopy === true);
          folders.set(id, {
            ...(isCopy && { isCopy }),
            ...folders.get(id)!,
            rootDiskBytes: layerBytes,
            diskSizeBytes: snapshot.disks[0]?.sizeBytes,
          });
        });
      }),
  };
}

/** Before an instance goes. @throws InUse the disks of others rest on its snapshots, or volumes are being made of these */
export function refuseClones(host: SimulatedHost, { id, cloudId }: { id: InstanceId; cloudId: string }): void {
  for (const snapshot of host.store.snapshots.all()) {
    if (snapshot.instanceId !== id || snapshot.cloudId !== cloudId) continue;
    refuseInUse(host, snapshot);
  }
}

function refuseInUse(host: SimulatedHost, snapshot: StoredSnapshot): void {
  const clones = clonesOf(host, snapshot);
  if (clones.length > 0) throw hasClones(snapshot.name, clones);
  const copies = [...host.copies].flatMap(([volume, id]) => (id === snapshot.id ? volume : []));
  if (copies.length > 0) throw isBeingCopied(snapshot.name, copies);
}

export function removeSnapshotsOf(host: SimulatedHost, id: InstanceId): void {
  for (const snapshot of host.store.snapshots.all()) {
    if (snapshot.instanceId === id) host.store.snapshots.delete(snapshot.id);
  }
}

/** What was made from a snapshot becomes an instance. */
export function claimClone(host: SimulatedHost, id: InstanceId): void {
  const folder = host.store.folders.get(id);
  if (folder?.owner.clone === undefined) return;
  host.store.folders.set(id, { ...folder, owner: claimedOwner(folder.owner) });
}

function requireOwn(host: SimulatedHost, { cloudId, instance }: Subject): StoredDomain {
  const domain = host.domain(instance.id);
  if (domain?.record.cloudId !== cloudId) throw domainMissing(instance.domainName);
  if (domain.record.desired.origin === 'adopted') throw isAdopted(nameOf(domain));
  return domain;
}

const consistencyOf = ({ power }: StoredDomain, memory: boolean): SnapshotConsistency => {
  if (power === 'off') return 'off';
  return memory ? 'memory' : 'crash';
};

const machineStateOf = ({ firmware, tpm }: StoredDomain['record']['desired']): MachineState[] => [
  ...(firmware === 'bios' ? [] : (['uefi-variables'] as const)),
  ...(tpm ? (['tpm'] as const) : []),
];

function disksOf(host: SimulatedHost, domain: StoredDomain): StoredSnapshot['disks'] {
  const { id, rootDisk, hardware } = domain.record.desired;
  const volumes = devicesOf(domain).volumes.filter(({ readOnly }) => !readOnly);
  return [
    {
      id: rootDisk.id,
      target: machineProfile(hardware, 'x86_64').root.dev,
      sizeBytes: host.store.folders.get(id)?.diskSizeBytes ?? rootDisk.sizeBytes,
    },
    ...volumes.map((volume) => ({
      id: volume.id,
      target: volume.target,
      sizeBytes: host.store.volumes.get(volume.id)?.sizeBytes ?? 0,
    })),
  ];
}

function refuseOthers(host: SimulatedHost, domain: StoredDomain, { name, disks }: StoredSnapshot): void {
  const now = new Set<string>(disksOf(host, domain).map(({ id }) => id));
  const missing = disks.filter(({ id }) => !now.delete(id)).map(({ id }) => id);
  if (missing.length > 0 || now.size > 0) throw hasOtherDisks(nameOf(domain), name, missing, [...now][0]);
}

const clonesOf = (host: SimulatedHost, { id }: StoredSnapshot): InstanceId[] =>
  host.store.folders.all().flatMap(({ owner }) => (owner.clonedFrom?.snapshotId === id ? owner.id : []));

export function observeSnapshot(host: SimulatedHost, { isForgotten, ...snapshot }: StoredSnapshot): ObservedSnapshot {
  return { ...snapshot, usedBytes: 0, clones: clonesOf(host, snapshot), intact: isForgotten !== true };
}
