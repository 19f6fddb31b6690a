// Writes an instance down that is like another one, with a name, addresses, cards and an identity of its own. Its root disk is
// on the host already: this is the moment at which it becomes an instance.

import { neededFeatures } from '@virga/contract/agent/host-features';
import { type InstanceId, newId, type OperationId, type VolumeId } from '@virga/contract/ids';
import type { SystemAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import type { Tx } from '../../store/database.ts';
import { leaseAddress } from '../networks/address-store.ts';
import { createOperation } from '../operations/operation-store.ts';
import { demandOf } from '../placement/demand.ts';
import { placeOn } from '../placement/placement.ts';
import { insertNic } from './device-store.ts';
import { domainNameOf } from './instance.ts';
import { type InstanceRow, insertInstance } from './instance-store.ts';
import { wakeInstance } from './instance-wake.ts';
import { mayMerge } from './memory-merging.ts';
import { cephPoolOf } from './root-pool.ts';

export type Clone = { id: InstanceId; name: string; starts: boolean; rootDiskId: VolumeId; full: boolean };

/** As its host knows it, before it is one. */
export const cloneIdentity = ({ id, name }: Pick<Clone, 'id' | 'name'>) => ({
  id,
  uuid: uuidOf(id),
  domainName: domainNameOf({ id, name }),
});

/** @throws NoCapacity | HostUnavailable | AddressesExhausted | NameTaken by its constraint */
export async function insertClone(
  deps: Pick<Deps, 'settings' | 'clock'>,
  tx: Tx,
  access: SystemAccess,
  source: InstanceRow,
  { id, name, starts, rootDiskId, full }: Clone,
): Promise<OperationId> {
  const { project_id: projectId, host_id: hostId } = source;
  const operationId = await createOperation(tx, access, {
    kind: 'instance.launch',
    ...{ projectId, resourceId: id, resourceName: name, generation: 1 },
  });
  await appendEvent(tx, access, {
    type: 'instance.cloned',
    ...{ projectId, resourceId: id, resourceName: name },
    message: `Instance ${name} was cloned from ${source.name}.`,
    data: { source: source.id },
  });
  const nics = [];
  for (const { networkId, limits, detaching } of source.nics) {
    if (detaching) continue;
    const network = await tx
      .selectFrom('networks')
      .select(['id', 'name', 'cidr'])
      .where('id', '=', networkId)
      .executeTakeFirstOrThrow();
    const nicId = newId('networkInterface');
    const address = await leaseAddress(tx, access, network, nicId);
    // In the order in which the guest of the original finds them.
    nics.push({ id: nicId, network_id: networkId, limits, address, position: nics.length });
  }
  const { vcpus, memory_mib, huge_page_kib, no_merge } = source;
  // The row of the host comes last, because others may have to wait for it.
  if (starts) {
    const { hardware, firmware, tpm, watchdog, boot_order: bootOrder, cdrom_drive: cdromDrive } = source;
    await placeOn(tx, access, hostId, {
      ...demandOf(vcpus, memory_mib, huge_page_kib),
      features: neededFeatures({
        ...{ hardware, firmware, tpm, watchdog, bootOrder, cdromDrive },
        memoryBacking: { hugePageKib: huge_page_kib, mergeable: false },
        cpu: { shares: source.cpu_shares, capPercent: source.cpu_cap_percent },
      }),
      cpu: { instanceId: id, policy: source.cpu_policy },
    });
  }
  const memory = { no_merge, huge_page_kib };
  const merges = starts && (await mayMerge(deps, tx, access, hostId, { project_id: projectId, ...memory }));
  const { uuid, domainName } = cloneIdentity({ id, name });
  const ceph = await cephPoolOf(tx, source.root_pool_id);
  await insertInstance(tx, {
    ...{ id, name, uuid, merges, project_id: projectId, host_id: hostId, operation_id: operationId },
    domain_name: domainName,
    guest_host_name: name,
    root_disk_id: rootDiskId,
    // One that is a file lies with the others of its host, and says itself what it rests on.
    ...(ceph && { root_pool_id: ceph.id, root_clone: full ? 'full' : source.root_clone }),
    ...likeIt(source),
    desired: starts ? 'running' : 'stopped',
    force_at: starts ? null : deps.clock.now(),
    allocated: starts,
    ...{ user_data: null, reboot: null, failure: null, retry_at: null, started_at: null, template_id: null },
    launch_path: 'cold',
  });
  for (const { limits, ...nic } of nics) {
    await insertNic(tx, access, {
      ...{ ...nic, instance_id: id, generation: 1, detaching: false },
      limits: limits && JSON.stringify(limits),
    });
  }
  await wakeInstance(tx, hostId, id);
  return operationId;
}

/** What a clone has as the original has it; it has no disc in its drive, and nothing protects it or ends it. */
function likeIt(source: InstanceRow) {
  const json = (value: unknown) => (value === null ? null : JSON.stringify(value));
  return {
    ...{ image_id: source.image_id, type: source.type, disk_bytes: source.disk_bytes },
    ...{ vcpus: source.vcpus, memory_mib: source.memory_mib, huge_page_kib: source.huge_page_kib },
    ...{ max_vcpus: source.max_vcpus, max_memory_mib: source.max_memory_mib, no_merge: source.no_merge },
    ...{ cpu_policy: source.cpu_policy, cpu_shares: source.cpu_shares, cpu_cap_percent: source.cpu_cap_percent },
    root_disk_limits: json(source.root_disk_limits),
    root_disk_driver: json(source.root_disk_driver),
    ...{ hardware: source.hardware, firmware: source.firmware, tpm: source.tpm, watchdog: source.watchdog },
    boot_order: JSON.stringify(source.boot_order),
    ...{ cdrom_drive: source.cdrom_drive, cdrom_image_id: null },
    key_pairs: JSON.stringify(source.key_pairs),
    description: source.description,
    tags: JSON.stringify(source.tags),
    ...{ autostart: source.autostart, crash_policy: source.crash_policy },
  };
}
