// Snapshots as a host tells of them. Reads only.
import { readdir, stat } from 'node:fs/promises';
import type { ObservedSnapshot } from '@virga/contract/agent/snapshots';
import { type InstanceId, isId, type SnapshotId, type VolumeId } from '@virga/contract/ids';
import { exists } from '../../exists.ts';
import type { AgentContext } from '../agent-context.ts';
import { readTree } from '../disks/disk-layers.ts';
import { layerPath } from '../disks/layer-names.ts';
import { readOwner } from '../instances/instance-folder.ts';
import type { CephDisk } from '../pools/rbd-root-disk.ts';
import type { Storage } from '../storage.ts';
import { unfinishedVolumes } from '../volumes/volume-folder.ts';
import { missingInCeph } from './ceph-disks.ts';
import { cephDisksOf, filesOf, machinePath, memoryPath, type SnapshotRecord, snapshotsOf } from './snapshot-record.ts';

const blockBytes = 512;

type Context = Pick<AgentContext, 'storage' | 'log'>;

export async function listSnapshots(context: Context, cloudId: string): Promise<ObservedSnapshot[]> {
  const { storage } = context;
  const ids = (await readdir(storage.instancesPath)).filter((name) => isId('instance', name));
  const records = (await Promise.all(ids.map((id) => snapshotsOf(storage, id)))).flat();
  const ours = records.filter((record) => record.cloudId === cloudId);
  if (ours.length === 0) return [];
  const pools = ours.flatMap(cephDisksOf).map(({ poolId }) => poolId);
  const known = { clones: await allClones(storage), isMissing: await missingInCeph(context, pools) };
  return Promise.all(ours.map((record) => observeSnapshot(context, record, known)));
}

type Known = { clones: Map<SnapshotId, InstanceId[]>; isMissing: (id: SnapshotId, disk: CephDisk) => boolean };

export async function observeSnapshot(
  context: Context,
  { machineState = [], disks, ...record }: SnapshotRecord,
  known?: Known,
): Promise<ObservedSnapshot> {
  const { storage } = context;
  const { id, instanceId } = record;
  const ceph = cephDisksOf({ disks });
  const isMissing =
    known?.isMissing ??
    (await missingInCeph(
      context,
      ceph.map(({ poolId }) => poolId),
    ));
  const beside = [
    ...(record.memory ? [memoryPath(storage, instanceId, id)] : []),
    ...(machineState.length > 0 ? [machinePath(storage, instanceId, id)] : []),
  ];
  const files = await Promise.all(filesOf({ disks }).map(({ firstFile }) => keptOf(id, firstFile)));
  const all = [...files.flatMap((disk) => disk?.all ?? []), ...beside];
  const own = [...files.flatMap((disk) => disk?.own ?? []), ...beside];
  return {
    ...record,
    machineState,
    disks: disks.map(({ firstFile: _, poolId: __, ...disk }) => disk),
    usedBytes: (await Promise.all(own.map(allocatedBytes))).reduce((sum, bytes) => sum + bytes, 0),
    clones: (known?.clones ?? (await allClones(storage))).get(id) ?? [],
    intact:
      !files.includes(undefined) &&
      (await Promise.all(all.map(exists))).every(Boolean) &&
      !ceph.some((disk) => isMissing(id, disk)),
  };
}

/** Files of a disk that a snapshot keeps, and those that nothing else needs; undefined when the disk knows nothing of it. */
async function keptOf(id: SnapshotId, firstFile: string): Promise<{ all: string[]; own: string[] } | undefined> {
  const { current, snapshots } = await readTree(firstFile);
  const { [id]: kept, ...others } = snapshots;
  if (kept === undefined) return undefined;
  const needed = new Set([current, ...Object.values(others)].flat());
  const path = (name: string) => layerPath(firstFile, name);
  return { all: kept.map(path), own: kept.filter((name) => !needed.has(name)).map(path) };
}

/** Instances of any cloud whose disks rest on snapshots. */
export async function allClones(storage: Storage): Promise<Map<SnapshotId, InstanceId[]>> {
  const clones = new Map<SnapshotId, InstanceId[]>();
  for (const name of await readdir(storage.instancesPath)) {
    if (!isId('instance', name)) continue;
    const snapshotId = (await readOwner(storage, name))?.clonedFrom?.snapshotId;
    if (snapshotId !== undefined) clones.set(snapshotId, [...(clones.get(snapshotId) ?? []), name]);
  }
  return clones;
}

/** Volumes of any cloud that are just being made as copies of snapshots. */
export async function allCopies(storage: Storage): Promise<Map<SnapshotId, VolumeId[]>> {
  const copies = new Map<SnapshotId, VolumeId[]>();
  for (const { id, snapshot } of await unfinishedVolumes(storage)) {
    if (snapshot !== undefined) copies.set(snapshot.id, [...(copies.get(snapshot.id) ?? []), id]);
  }
  return copies;
}

const allocatedBytes = (path: string): Promise<number> =>
  stat(path).then(
    ({ blocks }) => blocks * blockBytes,
    () => 0,
  );
