// Volumes of the host: made, grown, removed. A volume that was there and is gone is never made again, because an empty disk
// would hide the loss. Whoever plugs a volume into a guest takes the same lock, so none is grown beneath a guest that starts.
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredVolume, ObservedVolume } from '@virga/contract/agent/volumes';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { CommandFailed, runCommand } from '../../run-command.ts';
import { volumeNotOurs, volumeOvertaken } from '../../volume-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { activeFile } from '../disks/disk-layers.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { makeDisk } from '../instances/root-disk.ts';
import { requireSpace, storageError } from '../storage.ts';
import {
  createVolume,
  observeVolume,
  readDiskSize,
  readVolume,
  removeVolume,
  updateRecord,
  volumeFile,
  volumeFolder,
} from './volume-folder.ts';

/** An empty disk takes some hundred KiB. A host with less than this is full. */
const smallestSpaceBytes = 16 * 1024 * 1024;

export function applyVolume(
  context: AgentContext,
  { mustExist, ...record }: DesiredVolume,
  { signal, onProgress }: CallContext,
): Promise<ObservedVolume> {
  const { storage, hook } = context;
  const { id, cloudId } = record;
  return context.locks.run(id, async () => {
    const present = await readVolume(storage, id);
    if (present !== undefined && present.cloudId !== cloudId) throw volumeNotOurs(id);
    if (present !== undefined && present.generation > record.generation)
      throw volumeOvertaken(present.generation, record);
    try {
      if (present === undefined) {
        if (mustExist) throw volumeGone(id, volumeFile(storage, id));
        await requireSpace(storage, smallestSpaceBytes);
        onProgress?.('making the disk', 20);
        await hook('volume', id);
        await createVolume(storage, record, (path) =>
          makeDisk(path, null, record.sizeBytes, { signal, beforeRename: () => hook('volume-name', id) }),
        );
      } else {
        await grow(context, record, onProgress);
        if (JSON.stringify(present) !== JSON.stringify(record)) await updateRecord(storage, record);
      }
    } catch (error) {
      throw await volumeError(context, error, 'make a volume');
    }
    return (await observeVolume(storage, id))!;
  });
}

async function grow(
  context: AgentContext,
  { id, sizeBytes }: Pick<DesiredVolume, 'id' | 'sizeBytes'>,
  onProgress: CallContext['onProgress'],
): Promise<void> {
  const { storage, hook, hypervisor } = context;
  const present = await readDiskSize(storage, id);
  if (present === undefined) throw volumeGone(id, volumeFile(storage, id));
  if (present >= sizeBytes) return;
  const file = await activeFile(volumeFile(storage, id));
  onProgress?.('growing the disk', 50);
  await hook('grow-volume', id);
  const [holder] = await hypervisor.ask(`look for who has ${id}`, (connection) =>
    findHolders(connection, volumeFolder(storage, id), { active: true }),
  );
  if (holder === undefined) {
    await runCommand('qemu-img', ['resize', '-q', '-f', 'qcow2', file, String(sizeBytes)], { package: 'qemu-utils' });
  } else {
    await hypervisor.act(`grow ${id}`, ({ domains }) => domains.blockResize(holder, file, sizeBytes));
  }
}

/** Idempotent. @throws InUse a domain has it */
export function deleteVolume(context: AgentContext, { id, cloudId }: { id: VolumeId; cloudId: string }): Promise<void> {
  const { storage, hook, hypervisor } = context;
  return context.locks.run(id, async () => {
    const present = await readVolume(storage, id);
    if (present !== undefined && present.cloudId !== cloudId) return;
    if (present !== undefined) {
      const [holder] = await hypervisor.ask(`look for who has ${id}`, (connection) =>
        findHolders(connection, volumeFolder(storage, id)),
      );
      if (holder !== undefined) throw inUse(id, holder);
    }
    await hook('delete-volume', id);
    try {
      await removeVolume(storage, id, cloudId);
    } catch (error) {
      throw storageError(error, storage, 'remove a volume');
    }
  });
}

/** @throws HypervisorRefused the volume is not on this host, or has lost its disk */
export async function requireVolume(
  { storage }: AgentContext,
  { cloudId }: { cloudId: string },
  id: VolumeId,
): Promise<void> {
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

/** Domains that have a file of this folder as one of their disks, or below it. */
async function findHolders(
  { domains }: Connection,
  folder: string,
  filter: { active?: true } = {},
): Promise<DomainRef[]> {
  const refs = await domains.list(filter);
  const holders = await Promise.all(
    refs.map(async (ref) => {
      try {
        return (await domains.xml(ref)).includes(`'${folder}/`) ? [ref] : [];
      } catch (error) {
        if (isLibvirtError(error, 'NO_DOMAIN')) return [];
        throw error;
      }
    }),
  );
  return holders.flat();
}

async function volumeError({ storage }: AgentContext, error: unknown, what: string): Promise<unknown> {
  if (!(error instanceof CommandFailed)) return storageError(error, storage, what);
  // The program says why only in words. When the storage is full, that is why.
  await requireSpace(storage, smallestSpaceBytes);
  return new VirgaError('HypervisorRefused', {
    detail: `The host could not ${what}: ${error.message}.`,
    action: 'See the log of the host agent.',
    cause: error,
  });
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
