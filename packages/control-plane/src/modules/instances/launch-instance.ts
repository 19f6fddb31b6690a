// Writes a launch down, in one transaction: address, room on a host, instance, network interface, operation, event. No host
// is talked to. What can be known to be impossible is refused here, and then nothing of it exists.
import { randomBytes } from 'node:crypto';
import { VirgaError } from '@virga/contract/errors';
import { type InstanceId, type NetworkInterfaceId, newId, type OperationId } from '@virga/contract/ids';
import type { Instance, LaunchInstance } from '@virga/contract/rest/instances';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import { brokenConstraint, type Tx } from '../../store/database.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import { bindAddress, leaseAddress } from '../networks/address-store.ts';
import { createOperation } from '../operations/operation-store.ts';
import { place } from '../placement/placement.ts';
import { findInstance, toInstance } from './instance-store.ts';
import { wakeInstance } from './instance-wake.ts';
import { type LaunchPlan, planLaunch } from './launch-plan.ts';

/**
 * Launches an instance: it exists when this answers, and runs when the operation has succeeded. A launch that fails for
 * good leaves nothing but its operation.
 * @throws NotFound | Conflict | InvalidArgument | UserDataTooLarge @see planLaunch
 * @throws NameTaken | AddressesExhausted | NoCapacity | InstanceTypeTooLarge | StorageFull | HostUnavailable
 * @throws IdempotencyMismatch
 */
export async function launchInstance(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  body: LaunchInstance,
  idempotency?: Idempotency,
): Promise<{ instance: Instance; operationId: OperationId }> {
  try {
    return await onceOnly(deps.db, idempotency, async (tx) => {
      const plan = await planLaunch(tx, access, body);
      await refuseTakenName(tx, access, plan.name);
      return insertLaunch(deps, tx, access, plan);
    });
  } catch (error) {
    if (brokenConstraint(error) === 'instances_name_taken') throw nameTaken(body.name);
    throw error;
  }
}

async function insertLaunch(deps: Deps, tx: Tx, access: ProjectAccess<'operator'>, plan: LaunchPlan) {
  const now = deps.clock.now();
  const id = newId('instance');
  // What other launches wait for comes last, and always in this order: the network, then the host.
  const operationId = await createOperation(tx, access, {
    kind: 'instance.launch',
    projectId: access.projectId,
    resourceId: id,
    resourceName: plan.name,
    generation: 1,
  });
  await appendEvent(tx, access, {
    type: 'instance.launch-requested',
    projectId: access.projectId,
    resourceId: id,
    resourceName: plan.name,
    message: `Launch of instance ${plan.name} was asked for.`,
    data: { image: plan.image.id, type: plan.type, network: plan.network.id, diskBytes: plan.diskBytes },
  });
  const address = await leaseAddress(tx, access, plan.network, now);
  const hostId = await place(tx, access, plan);
  await tx
    .insertInto('instances')
    .values({
      id,
      project_id: access.projectId,
      name: plan.name,
      uuid: uuidOf(id),
      host_id: hostId,
      image_id: plan.image.id,
      type: plan.type,
      vcpus: plan.vcpus,
      memory_mib: plan.memoryMib,
      disk_bytes: plan.diskBytes,
      root_disk_id: newId('volume'),
      firmware: plan.firmware,
      key_pairs: JSON.stringify(plan.keyPairs),
      user_data: plan.userData,
      desired: 'running',
      force_at: null,
      reboot: null,
      allocated: true,
      failure: null,
      retry_at: null,
      operation_id: operationId,
      started_at: null,
    })
    .execute();
  const nicId = await insertNic(tx, id, plan.network.id, address);
  await bindAddress(tx, access, plan.network.id, address, nicId);
  await wakeInstance(tx, hostId, id);
  const row = await findInstance(tx, id);
  return { instance: toInstance(row!), operationId };
}

/** With a random address of the range that QEMU uses (52:54:00); another one when it is taken. */
async function insertNic(
  tx: Tx,
  instanceId: InstanceId,
  networkId: LaunchPlan['network']['id'],
  address: string,
): Promise<NetworkInterfaceId> {
  for (;;) {
    const inserted = await tx
      .insertInto('nics')
      .values({
        id: newId('networkInterface'),
        instance_id: instanceId,
        network_id: networkId,
        mac: `52:54:00:${[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`,
        address,
      })
      .onConflict((conflict) => conflict.constraint('nics_mac').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (inserted) return inserted.id;
  }
}

/** The constraint is what decides; this only spares a request that is refused anyway the locks that others wait for. */
async function refuseTakenName(tx: Tx, access: ProjectAccess<'operator'>, name: string): Promise<void> {
  const taken = await tx
    .selectFrom('instances')
    .select('id')
    .where('project_id', '=', access.projectId)
    .where('name', '=', name)
    .executeTakeFirst();
  if (taken) throw nameTaken(name);
}

function nameTaken(name: string): VirgaError {
  return new VirgaError('NameTaken', {
    detail: `An instance named ${name} exists.`,
    action: 'Choose another name, or delete that instance first.',
    field: '/name',
  });
}
