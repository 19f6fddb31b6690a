// Backups of a simulated host. A store is a table of what was put into it, by place, which every host of the process sees, as they
// would see a real one; what is in a disk is its size and nothing else. What is recorded of changes, what was fetched, and the same
// refusals as on a real host.
import type {
  BackupKeeping,
  BackupStoreAccess,
  DesiredBackup,
  FullReason,
  RestoreSwap,
  StoredBackup,
  StoredDisk,
} from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import { type BackupId, type InstanceId, newId, type RestoreId, type VolumeId } from '@virga/contract/ids';
import { nothingThere, otherForm, snapshotsLost } from '../backup-conflicts.ts';
import type { Calls } from './call-steps.ts';
import type { StoredDomain } from './host-records.ts';
import { requireKeys } from './host-rules.ts';
import type { SimulatedHost } from './simulated-host.ts';

type StoredSnapshot = {
  backupId: BackupId;
  cloudId: string;
  at: string;
  settings?: Record<string, unknown>;
  stored?: StoredBackup;
};
type SimulatedStore = { password: string; snapshots: Map<string, StoredSnapshot>; isAway: boolean; isDamaged: boolean };
type HostBackups = {
  /** Backups since which is recorded what changes, by instance. */
  recorded: Map<string, Set<BackupId>>;
  fetched: Map<RestoreId, { cloudId: string; disks: Set<VolumeId> }>;
  swapped: Set<RestoreId>;
};

/** What is on hosts, which their agents come and go beside. */
const stores = new Map<string, SimulatedStore>();
const hosts = new WeakMap<SimulatedHost, HostBackups>();

const dataBytes = 1024 * 1024;
const changedBytes = 64 * 1024;

const keyOf = ({ place }: BackupStoreAccess): string =>
  place.kind === 'directory' ? place.path : `${place.endpoint}/${place.bucket}/${place.prefix}`;

export type BackupControls = {
  /** Stores cannot be reached, or are damaged, until told otherwise. */
  loseStore(place: string, how?: 'away' | 'damaged'): void;
  findStore(place: string): void;
  /** What was recorded of an instance's disks is lost. */
  loseRecords(instanceId: string): void;
};

export const backupControls = (host: SimulatedHost): BackupControls => ({
  loseStore: (place, how = 'away') => {
    const store = stores.get(place);
    if (store !== undefined) stores.set(place, { ...store, isAway: how === 'away', isDamaged: how === 'damaged' });
  },
  findStore: (place) => {
    const store = stores.get(place);
    if (store !== undefined) stores.set(place, { ...store, isAway: false, isDamaged: false });
  },
  loseRecords: (instanceId) => void backupsOf(host).recorded.delete(instanceId),
});

function backupsOf(host: SimulatedHost): HostBackups {
  const present = hosts.get(host) ?? { recorded: new Map(), fetched: new Map(), swapped: new Set() };
  hosts.set(host, present);
  return present;
}

/** Gives a fetched disk its place, once. @throws NotFound */
export function takeFetched(host: SimulatedHost, { id, disk }: { id: RestoreId; disk: VolumeId }): void {
  if (!backupsOf(host).fetched.get(id)?.disks.delete(disk)) throw notFetched(id);
}

export function simulatedBackups(host: SimulatedHost, calls: Calls): BackupKeeping {
  const mine = backupsOf(host);
  const results = new Map<BackupId, Awaited<ReturnType<BackupKeeping['makeBackup']>>>();
  return {
    openBackupStore: (access, context) =>
      calls.run('openBackupStore', access.id, context, () => {
        const store = stores.get(keyOf(access));
        if (store !== undefined) {
          openStore(access);
          return { created: false };
        }
        stores.set(keyOf(access), {
          ...{ password: access.password, snapshots: new Map(), isAway: false, isDamaged: false },
        });
        return { created: true };
      }),
    makeBackup: (desired, context) =>
      calls.run('makeBackup', desired.id, context, async (steps) => {
        const before = results.get(desired.id);
        if (before !== undefined) return before;
        const domain = host.domain(desired.instance.id);
        if (domain?.record.cloudId !== desired.cloudId) throw noDomain(desired);
        const disks = disksOf(domain, desired);
        requireKeys(host, disks);
        const fullReason = whyFull(mine, desired, { domain, isAllInCeph: disks.every(({ id }) => isInCeph(host, id)) });
        await steps.take('backup-read', 10, steps.timings.rootDiskMs, () => {
          const kept = [...(mine.recorded.get(desired.instance.id) ?? [])].filter((id) => desired.kept.includes(id));
          if (fullReason === 'off') return;
          mine.recorded.set(desired.instance.id, new Set([...kept, desired.id]));
        });
        const store = openStore(desired.store);
        const at = new Date(calls.now()).toISOString();
        const put = (more: Pick<StoredSnapshot, 'settings'> = {}): string => {
          const id = newId('backup').padEnd(64, '0');
          store.snapshots.set(id, { backupId: desired.id, cloudId: desired.cloudId, at, ...more });
          return id;
        };
        const full = fullReason !== null;
        const stored: StoredDisk[] = [];
        await steps.take('backup-store', 60, steps.timings.rootDiskMs, () => {
          stored.push(...disks.map((disk) => storedDisk(disk, full, put())));
        });
        const result = {
          ...{ id: desired.id, fullReason, frozen: false, takenAt: at, disks: stored },
          addedBytes: stored.reduce((sum, disk) => sum + disk.dataBytes, 0),
          settingsSnapshotId: put({ settings: domain.record.desired }),
        };
        const { cloudId, keepsake, parent } = desired;
        const parentId = full ? null : (parent?.id ?? null);
        store.snapshots.get(result.settingsSnapshotId)!.stored = { cloudId, keepsake, parentId, made: result };
        results.set(desired.id, result);
        return result;
      }),
    endBackup: ({ id, instance, made }, context) =>
      calls.run('endBackup', id, context, () => {
        results.delete(id);
        if (!made) mine.recorded.get(instance.id)?.delete(id);
      }),
    mergeBackup: ({ id, cloudId, store: access, settingsSnapshotId: before, disks }, context) =>
      calls.run('mergeBackup', id, context, async (steps) => {
        const store = openStore(access);
        for (const { chain } of disks) requireSnapshots(store, chain);
        await steps.take('merge-store', 50, steps.timings.rootDiskMs, () => undefined);
        const at = new Date(calls.now()).toISOString();
        const put = (more: Partial<StoredSnapshot> = {}): string => {
          const snapshotId = newId('backup').padEnd(64, '0');
          store.snapshots.set(snapshotId, { backupId: id, cloudId, at, ...more });
          return snapshotId;
        };
        const merged = disks.map(({ chain: _, ...disk }) => storedDisk(disk, true, put()));
        const { stored, settings } = store.snapshots.get(before) ?? {};
        const settingsSnapshotId = put({ ...(settings && { settings }) });
        const made = { disks: merged, addedBytes: changedBytes, settingsSnapshotId };
        if (stored !== undefined) {
          const whole = { ...stored.made, ...made, fullReason: 'synthetic' as const };
          store.snapshots.get(settingsSnapshotId)!.stored = { ...stored, parentId: null, made: whole };
        }
        return made;
      }),
    fetchRestore: ({ id, cloudId, store: access, disks }, context) =>
      calls.run('fetchRestore', id, context, async (steps) => {
        const store = openStore(access);
        for (const { chain } of disks) requireSnapshots(store, chain);
        await steps.take('restore-fetch', 50, steps.timings.rootDiskMs, () => {
          mine.fetched.set(id, { cloudId, disks: new Set(disks.map((disk) => disk.id)) });
        });
      }),
    checkSwap: ({ id, instance, disks }, context) =>
      calls.run('checkSwap', id, context, () => requireReplaceable(host, instance.id, disks)),
    swapDisks: ({ id, instance, disks }, context) =>
      calls.run('swapDisks', id, context, async (steps) => {
        if (mine.swapped.has(id)) return;
        requireReplaceable(host, instance.id, disks);
        const fetched = mine.fetched.get(id)?.disks;
        if (!disks.every((disk) => fetched?.has(disk.fetched))) throw notFetched(id);
        await steps.take('restore-put', 50, 0, () => {
          mine.swapped.add(id);
          mine.recorded.delete(instance.id);
        });
      }),
    swapDisksBack: ({ id, instance }, context) =>
      calls.run('swapDisksBack', id, context, () => {
        if (!mine.swapped.has(id)) return;
        requireOff(host.domain(instance.id));
        mine.swapped.delete(id);
      }),
    endRestore: ({ id, cloudId }, context) =>
      calls.run('endRestore', id, context, () => {
        if (mine.fetched.get(id)?.cloudId === cloudId) mine.fetched.delete(id);
        mine.swapped.delete(id);
      }),
    readRestoredPath: ({ id, disk, path, offset }, context) =>
      calls.run('readRestoredPath', id, context, () => {
        if (!mine.fetched.get(id)?.disks.has(disk)) throw notFetched(id);
        if (path === '/') return { kind: 'folder', entries: [{ name: 'etc', kind: 'folder', sizeBytes: 0 }] };
        if (path !== '/etc/hostname') throw nothingThere(path);
        const whole = Buffer.from('simulated\n');
        const content = whole.subarray(offset).toString('base64');
        return { kind: 'file', sizeBytes: whole.length, content, truncated: false };
      }),
    readBackupSettings: (access, snapshotId, context) =>
      calls.run('readBackupSettings', access.id, context, () => {
        const { settings } = openStore(access).snapshots.get(snapshotId) ?? {};
        if (settings === undefined) throw lost(snapshotId);
        return { desired: settings, xml: '<domain/>', files: {} };
      }),
    findStoredBackups: (access, known, context) =>
      calls.run('findStoredBackups', access.id, context, () => {
        const parts = [...openStore(access).snapshots.values()].filter(({ backupId }) => !known.includes(backupId));
        // The youngest of each: what is put later is later in the table.
        const found = new Map(parts.flatMap(({ backupId, stored }) => (stored ? [[backupId, stored]] : [])));
        const all = new Set(parts.map(({ backupId }) => backupId));
        return { found: [...found.values()], incomplete: all.size - found.size };
      }),
    listStoreSnapshots: (access, context) =>
      calls.run('listStoreSnapshots', access.id, context, () =>
        [...openStore(access).snapshots]
          .filter(([, { cloudId }]) => cloudId === access.cloudId)
          .map(([id, { at, backupId }]) => ({ id, at, backupId })),
      ),
    removeStoreSnapshots: (access, ids, context) =>
      calls.run('removeStoreSnapshots', access.id, context, async (steps) => {
        const store = openStore(access);
        await steps.take('backup-forget', 50, 0, () => {
          for (const id of ids) store.snapshots.delete(id);
        });
      }),
    checkBackupStore: (access, _options, context) =>
      calls.run('checkBackupStore', access.id, context, () => {
        const store = openStore(access);
        if (store.isDamaged) throw damaged();
        return { snapshots: store.snapshots.size, sizeBytes: store.snapshots.size * dataBytes };
      }),
  };
}

function whyFull(
  { recorded }: HostBackups,
  { full, parent, instance }: DesiredBackup,
  { domain, isAllInCeph }: { domain: StoredDomain; isAllInCeph: boolean },
): FullReason | null {
  // Ceph knows what has changed also of what is off.
  if (domain.power === 'off' && !isAllInCeph) return 'off';
  if (full) return 'asked';
  if (parent === null) return 'first';
  return recorded.get(instance.id)?.has(parent.id) ? null : 'chain-broken';
}

function disksOf({ record: { desired } }: StoredDomain, { leavesOut }: DesiredBackup) {
  const volumes = desired.volumes.filter(({ id }) => !leavesOut.includes(id));
  return [
    { id: desired.rootDisk.id, role: 'root' as const, sizeBytes: desired.rootDisk.sizeBytes },
    ...volumes.map(({ id }) => ({ id, role: 'data' as const, sizeBytes: dataBytes })),
  ];
}

const storedDisk = (
  { id, role, sizeBytes }: Pick<StoredDisk, 'id' | 'role' | 'sizeBytes'>,
  full: boolean,
  snapshotId: string,
): StoredDisk => ({
  ...{ id, role, sizeBytes, full, snapshotId, dataBytes: full ? dataBytes : changedBytes },
  sha256: '0'.repeat(64),
});

function openStore(access: BackupStoreAccess): SimulatedStore {
  const store = stores.get(keyOf(access));
  if (store !== undefined && !store.isAway && store.password === access.password) return store;
  throw new VirgaError('BackupStoreUnavailable', {
    detail: `The backup store ${keyOf(access)} cannot be worked with.`,
    action: 'Look after the store: whether it is there, has room, and is opened by this password. It is tried again.',
  });
}

function requireSnapshots(store: SimulatedStore, chain: readonly { snapshotId: string }[]): void {
  for (const { snapshotId } of chain) {
    if (store.isDamaged || !store.snapshots.has(snapshotId)) throw lost(snapshotId);
  }
}

function requireReplaceable(host: SimulatedHost, instanceId: InstanceId, disks: RestoreSwap['disks']): void {
  requireOff(host.domain(instanceId));
  for (const { id } of disks) {
    const volume = host.store.volumes.get(id);
    if (volume?.encrypted && isInCeph(host, id)) throw otherForm(id, 'encrypted');
    requireKeys(host, [{ id }]);
    if (volume?.format === 'raw' && !isInCeph(host, id)) throw otherForm(id, 'raw');
    if (volume?.poolId !== undefined && !isInCeph(host, id)) throw otherForm(id, 'elsewhere');
    const isKept = host.store.snapshots.all().some((snapshot) => snapshot.disks.some((disk) => disk.id === id));
    if (isKept) throw snapshotsLost(id);
  }
}

function isInCeph({ store }: SimulatedHost, id: VolumeId): boolean {
  const poolId = store.volumes.get(id)?.poolId;
  if (poolId !== undefined) return store.pools.get(poolId)?.place.driver === 'rbd';
  return store.folders.all().some(({ owner }) => owner.ceph?.id === id);
}

function requireOff(domain: StoredDomain | undefined): void {
  if (domain === undefined || (domain.power === 'off' && !domain.savedMemory)) return;
  throw new VirgaError('Conflict', {
    detail: `${domain.record.desired.domainName} is on, or its memory is saved: its disks cannot be replaced.`,
    action: 'Stop it first, or restore the backup as a new instance.',
  });
}

const noDomain = ({ instance }: DesiredBackup) =>
  new VirgaError('NotFound', {
    detail: `There is no domain ${instance.domainName} on the host.`,
    action: 'Look at the state of the instance: virga show.',
  });
const notFetched = (id: RestoreId) =>
  new VirgaError('NotFound', {
    detail: `The disks of ${id} are not on this host.`,
    action: 'Restore the backup again.',
  });
const lost = (snapshotId: string) =>
  new VirgaError('BackupUnusable', {
    detail: `What is in the store as ${snapshotId.slice(0, 8)} is not what was put there.`,
    action: 'Restore another backup, and make a full one into another store.',
  });
const damaged = () =>
  new VirgaError('BackupUnusable', {
    detail: 'The backup store is damaged.',
    action: 'Make full backups into another store, and look after this one: restic check says what is missing.',
  });
