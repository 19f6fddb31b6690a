// Writes an instance down that is made of a backup: its disks lie on its host already, fetched and waiting. The rest is a launch
// like any other, with what the machine was, as far as the cloud still has it.
import type { DiskDriver, Hardware, RestoredDisk } from '@virga/contract/agent/desired';
import { neededFeatures } from '@virga/contract/agent/host-features';
import { VirgaError } from '@virga/contract/errors';
import { type HostId, type InstanceId, newId, type OperationId, type VolumeId } from '@virga/contract/ids';
import type { BackedUpMachine } from '@virga/contract/rest/backups';
import type { InstanceType } from '@virga/contract/rest/hosts';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { Tx } from '../../store/database.ts';
import { requireDriver } from '../hosts/disk-drivers.ts';
import { resolveInstanceType } from '../hosts/instance-type-operations.ts';
import { leaseAddress } from '../networks/address-store.ts';
import { resolveNetwork } from '../networks/network-store.ts';
import { usableHosts } from '../pools/pool.ts';
import type { PoolView } from '../pools/pool-store.ts';
import { newPassphrase } from '../volumes/volume-keys.ts';
import { requirePoolRoom } from '../volumes/volume-room.ts';
import { freeVolumeName, wakeVolume } from '../volumes/volume-store.ts';
import { insertNic } from './device-store.ts';
import { launchAttributesOf } from './instance-attributes.ts';
import { planCpu } from './instance-cpu.ts';
import { insertLaunch } from './launch-instance.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { roomToGrow } from './resize-plan.ts';
import { rootPools } from './root-pool.ts';

export type RestoredInstance = {
  instanceId: InstanceId;
  name: string;
  hostId: HostId;
  type: string;
  network: string;
  /** Where its disks are to lie; undefined: in the storage of the host. */
  pool?: string | undefined;
  machine: BackedUpMachine;
  root: { sizeBytes: number; disk: RestoredDisk };
  volumes: (Omit<BackedUpMachine['volumes'][number], 'id'> & { sizeBytes: number; disk: RestoredDisk })[];
};

/** What can be known to be impossible before anything is fetched. @throws NotFound type or network */
export async function refuseUnrestorable(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  { type, network }: Pick<RestoredInstance, 'type' | 'network'>,
): Promise<void> {
  await resolveInstanceType(tx, type);
  await resolveNetwork(tx, access, network);
}

/** @throws NotFound | PoolUnusable the host where the disks are fetched cannot use it | StorageFull */
export async function poolForRestored(tx: Tx, pool: string, hostId: HostId, diskBytes: number): Promise<PoolView> {
  const { pools = [] } = await rootPools(tx, pool, { diskBytes, image: null, clone: 'full' });
  const found = pools.find(({ hosts }) => usableHosts(hosts).some((host) => host.hostId === hostId));
  if (found !== undefined) return found;
  throw new VirgaError('PoolUnusable', {
    detail: `The host that fetches the disks of the backup cannot use the pool ${pool}.`,
    action: 'Name one that it can use: virga pools show says which hosts can.',
    field: '/pool',
  });
}

/** @throws NotFound | NameTaken | NoCapacity | AddressesExhausted as of a launch */
export async function launchRestored(
  deps: Deps,
  tx: Tx,
  access: ProjectAccess<'operator'>,
  asked: RestoredInstance,
): Promise<OperationId> {
  const { instanceId, hostId, root, machine } = asked;
  const plan = await planRestored(deps, tx, access, asked);
  const nics = await planNics(tx, access, asked);
  const { operationId } = await insertLaunch(deps, tx, access, plan, undefined, { instanceId, rootDisk: root.disk });
  const [limits = null] = machine.nicLimits ?? [];
  if (limits && asked.network === machine.networks[0]) {
    const set = { limits: JSON.stringify(limits) };
    await tx.updateTable('nics').set(set).where('instance_id', '=', instanceId).execute();
  }
  for (const nic of nics) {
    await insertNic(tx, access, { ...nic, instance_id: instanceId, generation: 1, detaching: false });
  }
  for (const volume of asked.volumes) {
    const id = newId('volume');
    // What was backed up has an id too, and may still be there.
    const { hardware } = machine;
    await insertVolume(deps, tx, access, { ...volume, id, hostId, instanceId, hardware, pool: plan.pools?.[0] });
  }
  return operationId;
}

/** Cards beside the first. On another network than that it had the machine is alone. */
async function planNics(tx: Tx, access: ProjectAccess<'operator'>, { network, machine }: RestoredInstance) {
  const nics = [];
  for (const [index, name] of machine.networks.entries()) {
    if (index === 0 || network !== machine.networks[0]) continue;
    const found = await resolveNetwork(tx, access, name).catch((error) => {
      if (error instanceof VirgaError && error.code === 'NotFound') return undefined;
      throw error;
    });
    if (found === undefined) continue;
    const id = newId('networkInterface');
    const limits = machine.nicLimits?.[index] ?? null;
    nics.push({
      ...{ id, network_id: found.id, address: await leaseAddress(tx, access, found, id) },
      ...{ position: index, limits: limits && JSON.stringify(limits) },
    });
  }
  return nics;
}

async function planRestored(
  deps: Deps,
  tx: Tx,
  access: ProjectAccess<'operator'>,
  { name, hostId, type: typeName, network, pool, machine, root }: RestoredInstance,
): Promise<LaunchPlan> {
  const type = await resolveInstanceType(tx, typeName);
  const { hardware, firmware, tpm, watchdog = null, bootOrder, cdromDrive = false, keyPairs, userData } = machine;
  const { description, tags, autostart, crashPolicy, noMerge } = machine;
  const size = typeName === machine.type ? ownSize(type, machine) : sizeOf(type);
  const { cpu, hugePageKib } = size;
  const machineHardware = { hardware, firmware, tpm, watchdog, bootOrder, cdromDrive };
  return {
    name,
    image: null,
    iso: null,
    network: await resolveNetwork(tx, access, network),
    type: type.name,
    ...size,
    diskBytes: root.sizeBytes,
    rootClone: 'linked',
    rootDiskLimits: machine.rootDiskLimits ?? null,
    rootDiskDriver: await takenDriver(tx, hostId, machine.rootDiskDriver, { hardware, label: 'root disk' }),
    ...(pool !== undefined && { pools: [await poolForRestored(tx, pool, hostId, root.sizeBytes)] }),
    hostIds: [hostId],
    keyPairs,
    userData,
    hardware: machineHardware,
    features: neededFeatures({
      ...machineHardware,
      memoryBacking: { hugePageKib, mergeable: false },
      cpu: { shares: cpu.cpu_shares, capPercent: cpu.cpu_cap_percent },
    }),
    attributes: launchAttributesOf(
      {
        ...{ name, type: typeName },
        ...{ ...(description && { description }), ...(tags && { tags }) },
        ...{ ...(autostart && { autostart }), ...(crashPolicy && { crashPolicy }), ...(noMerge && { noMerge }) },
      },
      deps.clock.now(),
    ),
    warm: 'never',
  };
}

const sizeOf = (type: InstanceType) => ({
  ...{ vcpus: type.vcpus, memoryMib: type.memoryMib, hugePageKib: type.hugePageKib ?? null, cpu: planCpu(type) },
  ...roomToGrow(type, {}),
});

/** It may have been given another size than that of its type. */
function ownSize(type: InstanceType, machine: BackedUpMachine): ReturnType<typeof sizeOf> {
  const { cpu, maxVcpus, maxMemoryMib, hugePageKib } = machine;
  if (cpu === undefined) return sizeOf(type);
  return {
    ...{ vcpus: machine.vcpus, memoryMib: machine.memoryMib, hugePageKib: hugePageKib ?? null },
    ...{ maxVcpus: maxVcpus ?? null, maxMemoryMib: maxMemoryMib ?? null },
    cpu: { cpu_policy: cpu.policy, cpu_shares: cpu.shares, cpu_cap_percent: cpu.capPercent },
  };
}

/** Null where the host does not take such a one: the machine is worth more than how its disk is driven. */
async function takenDriver(
  tx: Tx,
  hostId: HostId,
  driver: DiskDriver | null | undefined,
  disk: { hardware: Hardware; label: string },
): Promise<DiskDriver | null> {
  if (!driver) return null;
  try {
    await requireDriver(tx, hostId, { ...disk, driver, scratch: false, field: '/rootDiskDriver' });
    return driver;
  } catch (error) {
    if (error instanceof VirgaError) return null;
    throw error;
  }
}

async function insertVolume(
  { seal }: Pick<Deps, 'seal'>,
  tx: Tx,
  access: ProjectAccess<'operator'>,
  volume: RestoredInstance['volumes'][number] & {
    id: VolumeId;
    hostId: HostId;
    instanceId: InstanceId;
    hardware: Hardware;
    pool: PoolView | undefined;
  },
): Promise<void> {
  const { id, hostId, instanceId, target, readOnly, limits = null, hardware, pool, name } = volume;
  if (pool !== undefined) {
    await requirePoolRoom(tx, pool.id, { addBytes: volume.sizeBytes, takenBytes: 0 }, '/pool');
  }
  const driver = await takenDriver(tx, hostId, volume.driver, { hardware, label: `volume ${name}` });
  await tx
    .insertInto('volumes')
    .values({
      ...{ id, project_id: access.projectId, name: await freeName(tx, access, volume.name), host_id: hostId },
      ...{ size_bytes: volume.sizeBytes, restored: JSON.stringify(volume.disk), failure: null },
      ...(pool && { pool_id: pool.id, format: pool.driver === 'rbd' ? ('raw' as const) : ('qcow2' as const) }),
      ...{
        type: null,
        image_id: null,
        clone: null,
        passphrase_sealed: volume.encrypted ? newPassphrase(seal, id) : null,
        used_bytes: null,
      },
    })
    .execute();
  await tx
    .insertInto('volume_attachments')
    .values({
      ...{ volume_id: id, instance_id: instanceId, target, read_only: readOnly, generation: 1 },
      ...{ limits: limits && JSON.stringify(limits), driver: driver && JSON.stringify(driver) },
      // Until the instance is there: with one that cannot be launched they go.
      delete_with_instance: true,
    })
    .execute();
  await wakeVolume(tx, id);
}

/** The volume that was backed up may still be there. */
const freeName = (tx: Tx, { projectId }: ProjectAccess<'operator'>, name: string) =>
  freeVolumeName(tx, projectId, name, (attempt) =>
    attempt === 0 ? '' : `-restored${attempt === 1 ? '' : `-${attempt}`}`,
  );
