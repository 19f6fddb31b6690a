// The instance that a snapshot is of, looked at under its lock before anything is done: whose it is, whether its disks are
// where our lists say, and what it has been left with by a call that was cut short. Refuses what cannot be, before anything
// has changed.
import type { DesiredSnapshot } from '@virga/contract/agent/snapshots';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import { beingMoved } from '../../move-conflicts.ts';
import { domainMissing, isAdopted } from '../../snapshot-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { currentXml, settleChange } from '../disks/disk-change.ts';
import { readTree } from '../disks/disk-layers.ts';
import { type DomainDisk, findDisks } from '../disks/domain-disks.ts';
import { layerPath } from '../disks/layer-names.ts';
import { finishPivots } from '../disks/merge-layers.ts';
import { lookAt, type OwnDomain } from '../instances/domain-lookup.ts';
import { settleMoves } from '../moves/move-definition.ts';
import { readMove } from '../moves/move-record.ts';
import { type DiskInCeph, diskInCeph } from './ceph-disks.ts';

export type Subject = Pick<DesiredSnapshot, 'cloudId' | 'instance'>;

/** Its domain; what was half done of its disks is settled. @throws NotFound | Conflict it is adopted */
export async function settledDomain(context: AgentContext, { cloudId, instance }: Subject): Promise<OwnDomain> {
  const domain = await findSubject(context, { cloudId, instance });
  if (domain === undefined) throw domainMissing(instance.domainName);
  if (domain.record.desired.origin === 'adopted') throw isAdopted(domain.ref.name);
  await settleDisks(context, instance.id, domain);
  return domain;
}

/** Settles all that an earlier call may have left half done of the disks of a domain. The caller holds its lock. */
export async function settleDisks(context: AgentContext, id: InstanceId, domain: OwnDomain | undefined): Promise<void> {
  await settleChange(context, id, domain?.ref);
  if (domain === undefined) return;
  await settleMoves(context, domain);
  await finishPivots(context, domain);
}

export async function findSubject(
  context: AgentContext,
  { cloudId, instance }: Subject,
): Promise<OwnDomain | undefined> {
  const domain = await context.hypervisor.ask(`look at ${instance.domainName}`, (connection) =>
    lookAt(connection, instance.uuid),
  );
  const isOurs = domain?.record?.cloudId === cloudId && domain.record.instanceId === instance.id;
  return isOurs ? (domain as OwnDomain) : undefined;
}

/**
 * Its disks: files, all of which are those that our lists name, and what lies in Ceph.
 * @throws HypervisorRefused one can have no snapshots | Conflict somebody has put one on another file
 */
export async function requireDisks(
  context: AgentContext,
  { ref, record }: OwnDomain,
): Promise<{ files: DomainDisk[]; ceph: DiskInCeph[] }> {
  const { storage } = context;
  const { disks: files, unfit } = await findDisks(storage, record.desired, await currentXml(context, ref));
  const ceph: DiskInCeph[] = [];
  for (const disk of unfit) ceph.push((await diskInCeph(storage, record.desired, disk)) ?? cannot(disk));
  for (const { id } of [...files, ...ceph]) {
    const move = await readMove(storage, id);
    if (move !== undefined) throw beingMoved(move.before);
  }
  for (const disk of files) {
    const { current } = await readTree(disk.firstFile);
    if (layerPath(disk.firstFile, current.at(-1)!) !== disk.file) throw moved(ref.name, disk);
  }
  if (![...files, ...ceph].some(({ id }) => id === record.desired.rootDisk.id)) throw noRoot(ref.name);
  return { files, ceph };
}

function cannot({ id, why }: { id: string; why: string }): never {
  throw new VirgaError('HypervisorRefused', {
    detail: `The volume ${id} can have no snapshots: ${why}.`,
    action: 'Detach it for the time of the snapshot.',
  });
}

const moved = (name: string, { target, file }: DomainDisk) =>
  new VirgaError('Conflict', {
    detail: `Somebody has put the disk ${target} of ${name} on another file: ${file}.`,
    action: `Merge it back first: virsh blockcommit ${name} ${target} --active --pivot --shallow`,
  });

const noRoot = (name: string) =>
  new VirgaError('Conflict', {
    detail: `The domain ${name} does not have its root disk.`,
    action: 'Look at its definition: virga xml.',
  });
