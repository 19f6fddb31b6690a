// The disk that an image is made of or that is looked into: that of an image, which never changes, or the root disk of an instance
// that is off and stays off until this is done with it. Of one in Ceph there is a copy as long as it is needed.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type { BuildSource } from '@virga/contract/agent/image-building';
import type { InstanceId } from '@virga/contract/ids';
import { diskElsewhere, instanceHibernated, instanceRuns, noDomainOf } from '../../build-conflicts.ts';
import type { DiskFile } from '../../disk-contents/raw-disk.ts';
import type { AgentContext } from '../agent-context.ts';
import { runConvert } from '../disks/convert-disk.ts';
import { findDisks } from '../disks/domain-disks.ts';
import { requireStoredImage } from '../images/image-store.ts';
import { readRecord } from '../instances/domain-lookup.ts';
import { requireDomain } from '../instances/require-domain.ts';
import type { CephDisk } from '../pools/rbd-root-disk.ts';
import { diskInCeph, rbdPool } from '../snapshots/ceph-disks.ts';
import { requireSpace, smallestSpaceBytes } from '../storage.ts';

type Source = Exclude<BuildSource, { kind: 'recipe' }>;

/** @throws NotFound | Conflict the instance is not off, or its disk is not ours */
export async function withStillDisk<T>(
  context: AgentContext,
  { cloudId, from }: { cloudId: string; from: Source },
  work: (file: DiskFile) => Promise<T>,
  call: CallContext,
): Promise<T> {
  if (from.kind === 'image') {
    const { path, format } = await requireStoredImage(context.storage, cloudId, from.imageId);
    return work({ path, format });
  }
  // Whoever starts it takes the same lock.
  return context.locks.run(from.instanceId, async () => {
    const root = await rootOf(context, cloudId, from.instanceId);
    return 'poolId' in root ? withCopy(context, root, work, call) : work(root);
  });
}

/** Who looks into a disk, and what seals it, need a file. */
async function withCopy<T>(
  { storage }: AgentContext,
  { id, poolId }: CephDisk,
  work: (file: DiskFile) => Promise<T>,
  { signal }: CallContext,
): Promise<T> {
  const pool = await rbdPool(storage, poolId);
  const path = join(storage.path, `.still-${id}.qcow2`);
  await rm(path, { force: true });
  try {
    const written = await pool.extents(pool.imageName(id), undefined, { signal });
    const bytes = written.reduce((sum, { length }) => sum + length, 0);
    await requireSpace(storage, bytes + smallestSpaceBytes);
    const disk = { id, format: 'raw', encrypted: false } as const;
    await pool.withImage('', disk, (options) =>
      runConvert(['-W', '--image-opts', '-O', 'qcow2', options, path], '', { signal }),
    );
    return await work({ path, format: 'qcow2' });
  } finally {
    await rm(path, { force: true });
  }
}

async function rootOf(context: AgentContext, cloudId: string, id: InstanceId): Promise<DiskFile | CephDisk> {
  return context.hypervisor.ask(`look at the disk of ${id}`, async (connection) => {
    const ref = await requireDomain(context, connection, id);
    const record = await readRecord(connection, ref);
    if (record?.cloudId !== cloudId) throw noDomainOf(id);
    const { domains } = connection;
    if (await domains.isActive(ref)) throw instanceRuns(record.desired.name);
    if (await domains.hasManagedSave(ref)) throw instanceHibernated(record.desired.name);
    const { disks, unfit } = await findDisks(
      context.storage,
      record.desired,
      await domains.xml(ref, { inactive: true }),
    );
    const root = disks.find((disk) => disk.id === record.desired.rootDisk.id);
    const other = unfit.find((disk) => disk.id === record.desired.rootDisk.id);
    const inCeph = other && (await diskInCeph(context.storage, record.desired, other));
    if (inCeph !== undefined) return inCeph;
    if (root === undefined) throw diskElsewhere(record.desired.name);
    return { path: root.file, format: root.file.endsWith('.raw') ? 'raw' : 'qcow2' };
  });
}
