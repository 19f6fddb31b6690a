// The disk that an image is made of or that is looked into: that of an image, which never changes, or the root disk of an instance
// that is off and stays off until this is done with it.
import type { BuildSource } from '@virga/contract/agent/image-building';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
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
    if (record?.cloudId !== cloudId) throw notFound(id);
    const { domains } = connection;
    if (await domains.isActive(ref)) throw notOff(record.desired.name, 'runs');
    if (await domains.hasManagedSave(ref))
      throw notOff(record.desired.name, 'is hibernated: its disk is not whole without its memory');
    const { disks } = await findDisks(context.storage, record.desired, await domains.xml(ref, { inactive: true }));
    const root = disks.find((disk) => disk.id === record.desired.rootDisk.id);
    if (root === undefined) throw elsewhere(record.desired.name);
    return { path: root.file, format: root.file.endsWith('.raw') ? 'raw' : 'qcow2' };
  });
}

const notFound = (id: InstanceId) =>
  new VirgaError('NotFound', { detail: `There is no domain of ${id} on the host.`, action: 'Look at virga show.' });

const notOff = (name: string, why: string) =>
  new VirgaError('Conflict', {
    detail: `Instance ${name} ${why}.`,
    action: `Stop it first, and start it again afterwards: virga stop ${name} --wait.`,
  });

const elsewhere = (name: string) =>
  new VirgaError('Conflict', {
    detail: `The root disk of ${name} is not a file of this cloud: it was adopted, or somebody has changed its definition.`,
    action: 'Register its file: virga images register.',
  });
