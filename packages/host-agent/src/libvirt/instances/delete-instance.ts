// Removes an instance from the host: domain, leases, files. Goes on where an earlier call stopped. A domain or a folder of
// another cloud is left alone, as if it were not there.
import { rm } from 'node:fs/promises';
import type { InstanceIdentity } from '@virga/contract/agent/desired';
import type { InstanceId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { settleChange } from '../disks/disk-change.ts';
import { driverFor } from '../moves/move-places.ts';
import { forgetMove, knownMoves } from '../moves/move-record.ts';
import { removeLeases } from '../networks/leases.ts';
import { driverOf } from '../pools/drivers.ts';
import { removeCephRoot } from '../pools/rbd-root-disk.ts';
import { forgetSnapshots, refuseClones } from '../snapshots/delete-snapshot.ts';
import { findSubject } from '../snapshots/snapshot-domain.ts';
import { type Storage, storageError } from '../storage.ts';
import { discardShell, findShell } from '../warm/shells.ts';
import { undefine } from './domain-definition.ts';
import { lookAt } from './domain-lookup.ts';
import { forgetGone } from './gone-elsewhere.ts';
import { folderPath, readOwner, removeFolder } from './instance-folder.ts';
import { cutOff, isOff } from './power.ts';

export function deleteInstance(context: AgentContext, instance: InstanceIdentity): Promise<void> {
  return context.locks.run(instance.id, async () => {
    await refuseClones(context, instance);
    // One that was about to begin as a copy.
    if ((await findShell(context, instance)) !== undefined) {
      await context.hook('destroy', instance.id);
      await discardShell(context, instance);
    }
    await settleDeleted(context, instance);
    await deleteDomain(context, instance);
    await deleteLeases(context, instance);
    await forgetSnapshots(context, instance);
    await deleteFiles(context, instance);
    await forgetGone(context.storage, instance.id);
    context.shutdowns.forget(instance.id);
  });
}

/** What a call that was cut short has left of its disks is kept for a snapshot that is about to go. */
async function settleDeleted(context: AgentContext, instance: InstanceIdentity): Promise<void> {
  const domain = await findSubject(context, { cloudId: instance.cloudId, instance });
  if (domain !== undefined) await settleChange(context, instance.id, domain.ref);
}

async function deleteDomain(context: AgentContext, { id, uuid, cloudId, domainName }: InstanceIdentity): Promise<void> {
  const domain = await context.hypervisor.ask(`look at ${domainName}`, (connection) => lookAt(connection, uuid));
  if (domain === undefined || domain.record?.cloudId !== cloudId) return;
  if (!isOff({ ...domain, record: domain.record })) {
    await context.hook('destroy', id);
    await cutOff(context, domainName, domain.ref);
  }
  if (!domain.isPersistent) return;
  await context.hook('undefine', id);
  await undefine(context, domain.ref, domain.record.desired.origin);
}

async function deleteLeases(context: AgentContext, { id, nics, domainName }: InstanceIdentity): Promise<void> {
  if (nics.length === 0) return;
  await context.hook('delete-leases', id);
  for (const nic of nics) {
    await context.locks.run(nic.networkId, () =>
      context.hypervisor.act(`take the leases of ${domainName} away`, (connection) =>
        removeLeases(connection, context.networkNames, [nic]),
      ),
    );
  }
}

/** Both places of one that was on its way to another pool. */
async function dropRootMove(storage: Storage, id: InstanceId): Promise<void> {
  const moves = await knownMoves(storage);
  const record = moves.find(({ before, holder }) => before.isRoot && holder?.id === id);
  if (record === undefined) return;
  const { before, after, from, to } = record;
  for (const place of [before, after]) await (await driverFor(storage, place)).removeDisk(place.id);
  for (const folder of [from, to]) {
    if (folder !== '' && folder !== folderPath(storage, id)) await rm(folder, { recursive: true, force: true });
  }
  await forgetMove(storage, before.id);
}

async function deleteFiles({ storage, hook }: AgentContext, instance: InstanceIdentity): Promise<void> {
  const owner = await readOwner(storage, instance.id);
  if (owner !== undefined && (owner.cloudId !== instance.cloudId || owner.released)) return;
  await hook('delete-files', instance.id);
  try {
    await dropRootMove(storage, instance.id);
    if (owner?.moved?.poolId) await (await driverOf(storage, owner.moved.poolId)).require();
    if (owner?.ceph) await removeCephRoot(storage, owner.ceph);
    await removeFolder(storage, instance);
  } catch (error) {
    throw storageError(error, storage, 'remove an instance');
  }
}
