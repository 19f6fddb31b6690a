// A change of the files that an instance has its disks on, which cannot happen at once everywhere: libvirt knows them, and so
// do our lists. What is going to be is written down first. Whoever comes next, also after a crash at any moment, looks at
// which file the domain has and makes our lists so: all of the change has happened, or none. What Ceph keeps of disks there
// is made before that moment, or put back after it; a change of nothing else is written down when it happens.
import { access, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type { InstanceId, SnapshotId, VolumeId } from '@virga/contract/ids';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { flushFolder, readJsonFile, writeFileDurably } from '../../durable-file.ts';
import { isOn } from '../../snapshot-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { lookAt } from '../instances/domain-lookup.ts';
import { folderPath } from '../instances/instance-folder.ts';
import type { Machine } from '../instances/machine-files.ts';
import { observedState } from '../instances/observed-state.ts';
import { letGoOn } from '../instances/pausing.ts';
import type { CephDisk } from '../pools/rbd-root-disk.ts';
import { forgetInCeph, rollBackInCeph } from '../snapshots/ceph-disks.ts';
import { putMachineBack } from '../snapshots/machine-state.ts';
import { removeSnapshot, type SnapshotRecord, writeSnapshot } from '../snapshots/snapshot-record.ts';
import type { Storage } from '../storage.ts';
import { type DiskLayers, type DiskTree, readTree, writeTree } from './disk-layers.ts';
import { layerPath } from './layer-names.ts';

export type ChangedDisk = {
  id: VolumeId;
  firstFile: string;
  /** Name of the file that is new, on which the guest goes on. */
  added: string;
  current: DiskLayers;
};

export type DiskChange = {
  /** Those that are files. */
  disks: ChangedDisk[];
  /** Those in Ceph, with how large they were. */
  ceph?: (CephDisk & { imageBytes: number })[];
  /** Of a change without files, which no definition tells of. */
  hasHappened?: true;
  /** Its guest stands still until it has happened, or been taken back. */
  pauses?: true;
} & (
  | { kind: 'take'; snapshot: SnapshotRecord; frozen: Readonly<Record<VolumeId, DiskLayers>> }
  | { kind: 'revert'; snapshotId: SnapshotId; token: string; machine?: Machine }
  /** Nothing changes: several disks are read at one moment. */
  | { kind: 'read' }
);

const mode = 0o600;
const changePath = (storage: Storage, id: InstanceId): string => join(folderPath(storage, id), 'disk-change.json');
const revertedPath = (storage: Storage, id: InstanceId): string => join(folderPath(storage, id), 'reverted.json');

export async function beginChange(storage: Storage, id: InstanceId, change: DiskChange): Promise<void> {
  await writeFileDurably(changePath(storage, id), `${JSON.stringify(change)}\n`, mode);
  await flushFolder(folderPath(storage, id));
}

/** Token of the revert that was done last. */
export const lastRevert = async (storage: Storage, id: InstanceId): Promise<string | undefined> =>
  (await readJsonFile<{ token: string }>(revertedPath(storage, id)))?.token;

/** The moment of a change that has no files. */
export async function happen(storage: Storage, id: InstanceId, change: DiskChange): Promise<void> {
  if (change.disks.length > 0) return;
  change.hasHappened = true;
  await beginChange(storage, id, change);
}

/**
 * The domain has the new files: makes our lists say so. May be done twice.
 * @throws Conflict somebody has started a guest whose disks in Ceph were to be put back: it goes on with what it has
 */
export async function finishChange(
  context: AgentContext,
  id: InstanceId,
  change: DiskChange,
  { onProgress }: Pick<CallContext, 'onProgress'> = {},
): Promise<void> {
  const { storage, hook } = context;
  const { ceph = [] } = change;
  for (const { firstFile, current, id: diskId } of change.disks) {
    await hook('disk-layers', id);
    const { snapshots } = await readTree(firstFile);
    const frozen = change.kind === 'take' ? { [change.snapshot.id]: change.frozen[diskId]! } : {};
    await writeTree(firstFile, { current, snapshots: { ...snapshots, ...frozen } } satisfies DiskTree);
  }
  if (change.kind === 'revert' && ceph.length > 0) {
    const started = await startedSince(context, change.machine!);
    if (started !== undefined) {
      await rm(changePath(storage, id), { force: true });
      throw isOn(started);
    }
    await hook('revert-ceph', id);
    const told = (percent: number) => onProgress?.('putting back what lies in Ceph', 40 + Math.floor(percent / 2));
    await rollBackInCeph(storage, change.snapshotId, ceph, told);
  }
  await hook('disk-change-record', id);
  if (change.kind === 'take') await writeSnapshot(storage, change.snapshot);
  else if (change.kind === 'revert') {
    if (change.machine) await putMachineBack(context, change.snapshotId, change.machine);
    await writeFileDurably(revertedPath(storage, id), `${JSON.stringify({ token: change.token })}\n`, mode);
  }
  await hook('disk-change-end', id);
  await rm(changePath(storage, id), { force: true });
}

async function startedSince({ hypervisor }: AgentContext, { id, uuid }: Machine): Promise<string | undefined> {
  const domain = await hypervisor.ask(`look at ${id}`, (connection) => lookAt(connection, uuid));
  return domain && observedState(domain.state).state !== 'stopped' ? domain.ref.name : undefined;
}

/** The domain has the files of before: removes what was made. */
export async function abandonChange(context: AgentContext, id: InstanceId, change: DiskChange): Promise<void> {
  for (const { firstFile, added } of change.disks) await rm(layerPath(firstFile, added), { force: true });
  if (change.kind === 'take') {
    await forgetInCeph(context.storage, change.snapshot.id, change.ceph ?? []);
    await removeSnapshot(context.storage, id, change.snapshot.id);
  }
  await rm(changePath(context.storage, id), { force: true });
}

/**
 * To be called, with the lock of the instance, before anything is made of the files of its disks: what an earlier call left
 * half done is finished or taken back.
 * @param ref its domain; undefined when it has none
 */
export async function settleChange(context: AgentContext, id: InstanceId, ref: DomainRef | undefined): Promise<void> {
  const change = await readJsonFile<DiskChange>(changePath(context.storage, id));
  if (change === undefined) return;
  await context.hook('settle-disks', id);
  if (change.pauses && ref !== undefined) await letGoOn(context, ref);
  if (await hasHappened(context, ref, change)) await finishChange(context, id, change);
  else await abandonChange(context, id, change);
}

/** A snapshot is of all disks or of none, and so is a definition. Without a domain, files that are all there may have been used. */
export async function hasHappened(
  context: AgentContext,
  ref: DomainRef | undefined,
  { disks, hasHappened: isWritten }: DiskChange,
): Promise<boolean> {
  if (disks.length === 0) return isWritten === true;
  const paths = disks.map(({ firstFile, added }) => layerPath(firstFile, added));
  if (ref !== undefined) {
    const xml = await currentXml(context, ref);
    return paths.some((path) => xml.includes(`'${path}'`));
  }
  return Promise.all(paths.map((path) => access(path))).then(
    () => true,
    () => false,
  );
}

/** Whether a guest stands still for a change, and for nobody else. */
export const standsForChange = async (storage: Storage, id: InstanceId): Promise<boolean> =>
  (await readJsonFile<DiskChange>(changePath(storage, id)))?.pauses === true;

/** Of the running domain; of one that is off, its definition. */
export const currentXml = ({ hypervisor }: AgentContext, ref: DomainRef): Promise<string> =>
  hypervisor.ask(`look at the disks of ${ref.name}`, ({ domains }) => domains.xml(ref));
