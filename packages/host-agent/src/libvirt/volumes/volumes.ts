// Volumes of the host: made, grown, removed. A volume that was there and is gone is never made again, because an empty disk
// would hide the loss. Whoever plugs a volume into a guest takes the same lock, so none is grown beneath a guest that starts.
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredVolume, ObservedVolume, VolumeToDelete } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { noPassphrase, volumeNotOurs, volumeOvertaken } from '../../volume-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { fetchedImage, forgetFetchedDisk, takeFetchedDisk } from '../backups/restore-folder.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { requireStoredImage } from '../images/image-store.ts';
import { settleMove } from '../moves/settle-move.ts';
import { driverOf } from '../pools/drivers.ts';
import type { NewDisk, PoolDriver } from '../pools/pool-driver.ts';
import { poolOf, requirePool } from '../pools/pools.ts';
import { snapshotDisk } from '../snapshots/snapshot-disk.ts';
import { diskError, smallestSpaceBytes, storageError } from '../storage.ts';
import { childAt, childrenOf, parseXml } from '../xml.ts';
import {
  createVolume,
  findAnywhere,
  findInPool,
  observeVolume,
  readVolume,
  removeUnfinished,
  removeVolume,
  updateRecord,
  volumeFile,
  volumeFolder,
} from './volume-folder.ts';
import { recordOfVolume, type VolumeRecord } from './volume-record.ts';
import { forgetVolumeSecret, hasVolumeSecret, keepVolumeSecret } from './volume-secret.ts';

export function applyVolume(context: AgentContext, desired: DesiredVolume, call: CallContext): Promise<ObservedVolume> {
  const { storage } = context;
  const { id, cloudId, mustExist, passphrase } = desired;
  const record = recordOfVolume(desired);
  // Whoever deletes an image takes the same lock as who makes something that may rest on it.
  return context.locks.run(desired.source?.imageId ?? `${id} source`, () =>
    context.locks.run(id, async () => {
      const driver = await poolOf(context, desired.pool);
      const move = await settleMove(context, id);
      const present = (await readVolume(storage, id)) ?? (await findInPool(storage, driver, id));
      // It has moved, of which who asks has not heard yet.
      if (move?.phase === 'switched' && move.before.generation === record.generation && present?.cloudId === cloudId) {
        if (passphrase !== undefined) await keepVolumeSecret(context, id, passphrase);
        return (await observeVolume(storage, id))!;
      }
      if (present !== undefined && present.cloudId !== cloudId) throw volumeNotOurs(id);
      if (present !== undefined && present.generation > record.generation)
        throw volumeOvertaken(present.generation, record);
      try {
        if (present === undefined) {
          if (mustExist) throw volumeGone(id, volumeFile(storage, id));
          await make(context, driver, desired, record, call);
        } else {
          await driver.require();
          await grow(context, driver, record, passphrase, call);
          if (!isDeepStrictEqual(present, record)) await updateRecord(storage, record);
        }
        if (desired.restored !== undefined) await forgetFetchedDisk(storage, desired.restored);
        if (passphrase !== undefined) await keepVolumeSecret(context, id, passphrase);
      } catch (error) {
        throw await diskError(error, driver, 'make a volume');
      }
      return (await observeVolume(storage, id))!;
    }),
  );
}

async function make(
  context: AgentContext,
  driver: PoolDriver,
  { preallocation = 'off', passphrase, source, snapshot, restored }: DesiredVolume,
  record: VolumeRecord,
  { signal, onProgress }: CallContext,
): Promise<void> {
  const { storage, hook } = context;
  const { id, cloudId, sizeBytes, format = 'qcow2' } = record;
  const image = source && (await requireStoredImage(storage, cloudId, source.imageId));
  const takesAll = preallocation === 'falloc' || preallocation === 'full';
  await driver.require();
  await driver.requireSpace(smallestSpaceBytes + (takesAll ? sizeBytes : 0));
  onProgress?.('making the disk', 20);
  await hook('volume', id);
  const disk: NewDisk = {
    format,
    sizeBytes,
    preallocation,
    passphrase,
    ...(image && { source: { image, clone: source!.clone } }),
  };
  if (restored !== undefined && (format === 'raw' || passphrase !== undefined)) {
    disk.source = { image: await fetchedImage(storage, restored), clone: 'full' };
  } else if (restored !== undefined) {
    const taken = basename(volumeFile(storage, id));
    await createVolume(storage, driver, record, (folder) => takeFetchedDisk(storage, restored, join(folder, taken)));
    return;
  }
  await createVolume(storage, driver, record, async (folder) => {
    const told = (percent: number) => onProgress?.('copying the disk', 20 + Math.floor(percent * 0.7));
    const work = { signal, onProgress: told, beforeRename: () => hook('volume-name', id) };
    if (snapshot === undefined) return driver.makeDisk(folder, id, disk, work);
    // Whoever deletes the snapshot takes the same lock, and then finds the record of what is being made of it.
    const open = await context.locks.run(snapshot.instanceId, () => snapshotDisk(context, cloudId, snapshot));
    await hook('volume-copy', id);
    await open((kept) => driver.makeDisk(folder, id, { ...disk, source: { image: kept, clone: 'full' } }, work));
  });
}

async function grow(
  context: AgentContext,
  driver: PoolDriver,
  { id, sizeBytes, format = 'qcow2', encrypted = false }: VolumeRecord,
  passphrase: string | undefined,
  { signal, onProgress }: CallContext,
): Promise<void> {
  const { storage, hook, hypervisor } = context;
  const folder = volumeFolder(storage, id);
  const present = await driver.sizeOf(folder, id, encrypted);
  if (present === undefined) throw volumeGone(id, volumeFile(storage, id));
  if (present >= sizeBytes) return;
  onProgress?.('growing the disk', 50);
  await hook('grow-volume', id);
  const [holder] = await hypervisor.ask(`look for who has ${id}`, (connection) =>
    findHolders(connection, id, { active: true }),
  );
  if (holder === undefined) {
    await driver.grow(folder, { id, format, encrypted, passphrase }, sizeBytes, { signal });
  } else {
    await hypervisor.act(`grow ${id}`, async ({ domains }) =>
      domains.blockResize(holder, targetOf(await domains.xml(holder), id), sizeBytes),
    );
  }
}

/** Idempotent. @throws InUse a domain has it, here or on another host */
export function deleteVolume(
  context: AgentContext,
  { id, cloudId, wipe = 'none' }: VolumeToDelete,
  { signal, onProgress }: CallContext = {},
): Promise<void> {
  const { storage, hook, hypervisor } = context;
  return context.locks.run(id, async () => {
    await settleMove(context, id);
    const present = await findAnywhere(storage, id);
    if (present !== undefined && present.cloudId !== cloudId) return;
    const driver = await driverOf(storage, present?.poolId);
    if (present !== undefined) {
      const [holder] = await hypervisor.ask(`look for who has ${id}`, (connection) => findHolders(connection, id));
      if (holder !== undefined) throw inUse(id, holder);
      await driver.require();
      if (await driver.isOpenElsewhere(volumeFolder(storage, id))) throw inUseElsewhere(id);
    }
    try {
      if (present !== undefined && wipe !== 'none') {
        await hook('wipe-volume', id);
        const told = (percent: number) => onProgress?.('overwriting the disk', Math.floor(percent * 0.9));
        await driver.wipe(volumeFolder(storage, id), id, { signal, onProgress: told });
      }
      await hook('delete-volume', id);
      await driver.removeDisk(id);
      await removeVolume(storage, driver, id, cloudId);
      if (present === undefined) await removeUnfinished(storage, id, cloudId);
      if (present?.encrypted) await forgetVolumeSecret(context, id);
    } catch (error) {
      throw storageError(error, storage, 'remove a volume');
    }
  });
}

/** @throws HypervisorRefused the volume is not on this host, or has lost its disk | NotFound it has yet to be opened here */
export async function requireVolume(
  context: AgentContext,
  { cloudId }: { cloudId: string },
  id: VolumeId,
): Promise<void> {
  const { storage } = context;
  // One in a pool that several hosts see may have been made by another one.
  const record = await findAnywhere(storage, id);
  if (record?.poolId) await requirePool(context, record.poolId);
  if (record?.encrypted && !(await hasVolumeSecret(context, id))) throw noPassphrase(id);
  const volume = await observeVolume(storage, id);
  if (volume?.cloudId !== cloudId || !volume.intact) throw volumeGone(id, volumeFile(storage, id));
}

/** Does work while nobody else makes, grows or removes these volumes. @throws HypervisorRefused one is gone */
export async function withVolumes<T>(
  context: AgentContext,
  owner: { cloudId: string; volumes: readonly { id: VolumeId }[] },
  work: () => Promise<T>,
): Promise<T> {
  // Always in the same order, so that no two wait for each other.
  const [first, ...others] = owner.volumes.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  if (first === undefined) return work();
  return context.locks.run(first.id, async () => {
    await requireVolume(context, owner, first.id);
    return withVolumes(context, { ...owner, volumes: others }, work);
  });
}

/** Domains that have a volume as one of their disks, or below it. */
async function findHolders(
  { domains }: Connection,
  id: VolumeId,
  filter: { active?: true } = {},
): Promise<DomainRef[]> {
  const refs = await domains.list(filter);
  const holders = await Promise.all(
    refs.map(async (ref) => {
      try {
        const xml = await domains.xml(ref);
        return xml.includes(`/${id}/`) || xml.includes(`/${id}'`) ? [ref] : [];
      } catch (error) {
        if (isLibvirtError(error, 'NO_DOMAIN')) return [];
        throw error;
      }
    }),
  );
  return holders.flat();
}

/** Where a domain has the volume, such as vdc. */
function targetOf(xml: string, id: VolumeId): string {
  const devices = childrenOf(childAt(parseXml(xml), 'devices'), 'disk');
  const disk = devices.find((one) => {
    const { file = '', name = '' } = childAt(one, 'source')?.attributes ?? {};
    return file.includes(`/${id}/`) || name.endsWith(`/${id}`);
  });
  return childAt(disk, 'target')?.attributes.dev ?? '';
}

function volumeGone(id: VolumeId, path: string): VirgaError {
  return new VirgaError('HypervisorRefused', {
    detail: `The disk of volume ${id} is gone: there is no ${path} on the host.`,
    action: 'Bring it back, such as from a backup or by mounting the storage; or delete the volume.',
  });
}

const inUse = (id: VolumeId, { name }: DomainRef) =>
  new VirgaError('InUse', {
    detail: `The domain ${name} has the volume ${id}.`,
    action: `Take it out first: virsh domblklist ${name}, virsh detach-disk ${name} TARGET --persistent`,
  });

const inUseElsewhere = (id: VolumeId) =>
  new VirgaError('InUse', {
    detail: `Another host has the disk of the volume ${id} open.`,
    action: 'Stop what uses it there first.',
  });
