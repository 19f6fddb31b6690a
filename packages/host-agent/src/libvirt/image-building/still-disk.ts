// The disk that an image is made of or that is looked into: that of an image, which never changes, or the root disk of an instance
// that is off and stays off until this is done with it.
import type { BuildSource } from '@virga/contract/agent/image-building';
import type { InstanceId } from '@virga/contract/ids';
import { diskElsewhere, diskInCeph, instanceHibernated, instanceRuns, noDomainOf } from '../../build-conflicts.ts';
import type { DiskFile } from '../../disk-contents/raw-disk.ts';
import type { AgentContext } from '../agent-context.ts';
import { findDisks } from '../disks/domain-disks.ts';
import { requireStoredImage } from '../images/image-store.ts';
import { readRecord } from '../instances/domain-lookup.ts';
import { requireDomain } from '../instances/require-domain.ts';

type Source = Exclude<BuildSource, { kind: 'recipe' }>;

/** @throws NotFound | Conflict the instance is not off, or its disk is not ours */
export async function withStillDisk<T>(
  context: AgentContext,
  { cloudId, from }: { cloudId: string; from: Source },
  work: (file: DiskFile) => Promise<T>,
): Promise<T> {
  if (from.kind === 'image') {
    const { path, format } = await requireStoredImage(context.storage, cloudId, from.imageId);
    return work({ path, format });
  }
  // Whoever starts it takes the same lock.
  return context.locks.run(from.instanceId, async () => work(await rootFileOf(context, cloudId, from.instanceId)));
}

async function rootFileOf(context: AgentContext, cloudId: string, id: InstanceId): Promise<DiskFile> {
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
    if (unfit.some((disk) => disk.id === record.desired.rootDisk.id)) throw diskInCeph(record.desired.name);
    if (root === undefined) throw diskElsewhere(record.desired.name);
    return { path: root.file, format: root.file.endsWith('.raw') ? 'raw' : 'qcow2' };
  });
}
