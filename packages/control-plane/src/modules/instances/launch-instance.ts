// Writes a launch down, in one transaction: address, room on a host, instance, network interface, operation, event. No host
// is talked to. What can be known to be impossible is refused here, and then nothing of it exists.
import type { RestoredDisk } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { type InstanceId, newId, type OperationId } from '@virga/contract/ids';
import type { Instance, LaunchInstance } from '@virga/contract/rest/instances';
import type { Insertable } from 'kysely';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import { appendEvent } from '../../events/event-log.ts';
import { uuidOf } from '../../reconcile/uuid-of.ts';
import { brokenConstraint, type Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import { type Idempotency, onceOnly } from '../../store/once-only.ts';
import type { Database } from '../../store/schema.ts';
import { leaseAddress } from '../networks/address-store.ts';
import { createOperation } from '../operations/operation-store.ts';
import { demandOf } from '../placement/demand.ts';
import { place, placeOn } from '../placement/placement.ts';
import { cannotBeginWarm, whyCold } from '../templates/template.ts';
import { takeWarmOrigin, type WarmOrigin } from '../templates/template-store.ts';
import { insertNic } from './device-store.ts';
import { domainNameOf } from './instance.ts';
import { readInstanceCpus } from './instance-cpu.ts';
import { insertInstance, toInstance } from './instance-store.ts';
import { wakeInstance } from './instance-wake.ts';
import { type LaunchPlan, planLaunch } from './launch-plan.ts';
import { mayMerge } from './memory-merging.ts';
import { chooseRootPool } from './root-pool.ts';

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
  let origin: WarmOrigin | undefined;
  const launch = (asked: LaunchInstance) =>
    onceOnly(deps.db, idempotency, async (tx) => {
      const plan = await planLaunch(tx, access, asked, deps.clock.now());
      await refuseTakenName(tx, access, plan.name);
      origin = await chooseOrigin(tx, access, plan);
      return insertLaunch(deps, tx, access, plan, origin);
    });
  try {
    try {
      return await launch(body);
    } catch (error) {
      // The host of the copy has filled up in this very moment, and another may have room.
      const hasNoRoom =
        error instanceof VirgaError && ['NoCapacity', 'HostUnavailable', 'StorageFull'].includes(error.code);
      if (!hasNoRoom || origin === undefined || body.warm === 'always') throw error;
      return await launch({ ...body, warm: 'never' });
    }
  } catch (error) {
    if (brokenConstraint(error) === 'instances_name_taken') throw nameTaken(body.name);
    throw error;
  }
}

/** What the launch begins as a copy of. @throws Conflict it must and cannot */
async function chooseOrigin(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  plan: LaunchPlan,
): Promise<WarmOrigin | undefined> {
  if (plan.warm === 'never') return undefined;
  const why = whyCold(plan);
  const origin = why === undefined ? await takeWarmOrigin(tx, access, plan) : undefined;
  if (origin === undefined && plan.warm === 'always') {
    throw cannotBeginWarm(
      why ?? `no running guest of image ${plan.image?.name} and type ${plan.type} is kept on a host with room`,
    );
  }
  return origin;
}

/** The row of the host comes last, because other launches may have to wait for it. */
async function placeLaunch(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  plan: LaunchPlan,
  origin: WarmOrigin | undefined,
  instanceId: InstanceId,
) {
  const demand = {
    ...demandOf(plan.vcpus, plan.memoryMib, plan.hugePageKib),
    hostIds: plan.hostIds,
    features: plan.features,
    cpu: { instanceId, policy: plan.cpu.cpu_policy },
  };
  if (origin === undefined) return place(tx, access, demand);
  await placeOn(tx, access, origin.hostId, demand);
  return tx.selectFrom('hosts').select(['id', 'name']).where('id', '=', origin.hostId).executeTakeFirstOrThrow();
}

/** @param restored it is made of disks that its host has fetched from a backup store */
export async function insertLaunch(
  deps: Pick<Deps, 'settings' | 'clock'>,
  tx: Tx,
  access: ProjectAccess<'operator'>,
  plan: LaunchPlan,
  origin: WarmOrigin | undefined,
  restored?: { instanceId: InstanceId; rootDisk: RestoredDisk },
) {
  const id = restored?.instanceId ?? origin?.instanceId ?? newId('instance');
  const nicId = newId('networkInterface');
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
    data: {
      image: plan.image?.id ?? null,
      iso: plan.iso?.id ?? null,
      type: plan.type,
      network: plan.network.id,
      diskBytes: plan.diskBytes,
    },
  });
  const address = await leaseAddress(tx, access, plan.network, nicId);
  const host = await placeLaunch(tx, access, plan, origin, id);
  const { diskBytes, image, rootClone: clone } = plan;
  const rootPoolId = await chooseRootPool(tx, plan.pools, host.id, { diskBytes, image, clone }, deps.clock.now());
  const memory = { no_merge: plan.attributes.no_merge, huge_page_kib: plan.hugePageKib };
  // Copies that wait belong to nobody yet, so they are started without.
  const merges =
    origin === undefined && (await mayMerge(deps, tx, access, host.id, { project_id: access.projectId, ...memory }));
  const columns: Insertable<Database['instances']> = {
    id,
    project_id: access.projectId,
    name: plan.name,
    domain_name: domainNameOf({ id, name: plan.name }),
    guest_host_name: plan.name,
    uuid: uuidOf(id),
    host_id: host.id,
    image_id: plan.image?.id ?? null,
    type: plan.type,
    vcpus: plan.vcpus,
    memory_mib: plan.memoryMib,
    huge_page_kib: plan.hugePageKib,
    ...plan.cpu,
    merges,
    max_vcpus: plan.maxVcpus,
    max_memory_mib: plan.maxMemoryMib,
    disk_bytes: plan.diskBytes,
    root_disk_id: newId('volume'),
    root_disk_limits: plan.rootDiskLimits && JSON.stringify(plan.rootDiskLimits),
    root_pool_id: rootPoolId,
    root_clone: clone,
    root_disk_driver: plan.rootDiskDriver && JSON.stringify(plan.rootDiskDriver),
    root_disk_restored: restored ? JSON.stringify(restored.rootDisk) : null,
    hardware: plan.hardware.hardware,
    firmware: plan.hardware.firmware,
    tpm: plan.hardware.tpm,
    watchdog: plan.hardware.watchdog,
    boot_order: JSON.stringify(plan.hardware.bootOrder),
    cdrom_drive: plan.hardware.cdromDrive,
    cdrom_image_id: plan.iso?.id ?? null,
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
    template_id: origin?.templateId ?? null,
    launch_path: origin === undefined ? 'cold' : 'warm',
    ...plan.attributes,
  };
  const row = await insertInstance(tx, columns);
  const nic = { id: nicId, address, generation: 1, detaching: false };
  const mac = await insertNic(tx, access, { ...nic, instance_id: id, network_id: plan.network.id });
  await wakeInstance(tx, host.id, id);
  if (plan.attributes.expires_at) await notify(tx, 'due');
  const instance = toInstance({
    ...row,
    host_name: host.name,
    host_state: 'ready',
    host_state_reason: null,
    image_name: plan.image?.name ?? null,
    default_user: plan.image?.default_user ?? null,
    cdrom_image_name: plan.iso?.name ?? null,
    root_move: null,
    root_pool_name: plan.pools?.find((pool) => pool.id === rootPoolId)?.name ?? null,
    nics: [{ ...nic, networkId: plan.network.id, networkName: plan.network.name, mac, limits: null }],
    volumes: [],
    ...(await readInstanceCpus(tx, id)),
  });
  return { instance, operationId };
}

/**
 * The constraint is what decides; this only spares a request that is refused anyway the locks that others wait for, and work
 * that comes before.
 */
export async function refuseTakenName(tx: Tx, access: ProjectAccess<'operator'>, name: string): Promise<void> {
  const taken = await tx
    .selectFrom('instances')
    .select('id')
    .where('project_id', '=', access.projectId)
    .where('name', '=', name)
    .executeTakeFirst();
  if (taken) throw nameTaken(name);
}

export function nameTaken(name: string): VirgaError {
  return new VirgaError('NameTaken', {
    detail: `An instance named ${name} exists.`,
    action: 'Choose another name, or delete that instance first.',
    field: '/name',
  });
}
