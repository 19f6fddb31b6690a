// Writes an instance down that is made of a backup: its disks lie on its host already, fetched and waiting. The rest is a launch
// like any other, with what the machine was, as far as the cloud still has it.
import type { RestoredDisk } from '@virga/contract/agent/desired';
import { neededFeatures } from '@virga/contract/agent/host-features';
import { type HostId, type InstanceId, newId, type OperationId, type VolumeId } from '@virga/contract/ids';
import type { BackedUpMachine } from '@virga/contract/rest/backups';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { Tx } from '../../store/database.ts';
import { resolveInstanceType } from '../hosts/instance-type-operations.ts';
import { resolveNetwork } from '../networks/network-store.ts';
import { freeVolumeName, wakeVolume } from '../volumes/volume-store.ts';
import { launchAttributesOf } from './instance-attributes.ts';
import { planCpu } from './instance-cpu.ts';
import { insertLaunch } from './launch-instance.ts';
import type { LaunchPlan } from './launch-plan.ts';
import { roomToGrow } from './resize-plan.ts';

export type RestoredInstance = {
  instanceId: InstanceId;
  name: string;
  hostId: HostId;
  type: string;
  network: string;
  machine: BackedUpMachine;
  root: { sizeBytes: number; disk: RestoredDisk };
  volumes: { name: string; target: string; readOnly: boolean; sizeBytes: number; disk: RestoredDisk }[];
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

/** @throws NotFound | NameTaken | NoCapacity | AddressesExhausted as of a launch */
export async function launchRestored(
  deps: Deps,
  tx: Tx,
  access: ProjectAccess<'operator'>,
  asked: RestoredInstance,
): Promise<OperationId> {
  const { instanceId, hostId, root } = asked;
  const plan = await planRestored(deps, tx, access, asked);
  const { operationId } = await insertLaunch(deps, tx, access, plan, undefined, { instanceId, rootDisk: root.disk });
  for (const volume of asked.volumes) {
    const id = newId('volume');
    // What was backed up has an id too, and may still be there.
    await insertVolume(tx, access, { ...volume, id, hostId, instanceId });
  }
  return operationId;
}

async function planRestored(
  deps: Deps,
  tx: Tx,
  access: ProjectAccess<'operator'>,
  { name, hostId, type: typeName, network, machine, root }: RestoredInstance,
): Promise<LaunchPlan> {
  const type = await resolveInstanceType(tx, typeName);
  const { hardware, firmware, tpm, bootOrder, keyPairs, userData } = machine;
  const cpu = planCpu(type);
  const machineHardware = { hardware, firmware, tpm, watchdog: null, bootOrder, cdromDrive: false };
  const hugePageKib = type.hugePageKib ?? null;
  return {
    name,
    image: null,
    iso: null,
    network: await resolveNetwork(tx, access, network),
    type: type.name,
    vcpus: type.vcpus,
    memoryMib: type.memoryMib,
    hugePageKib,
    cpu,
    ...roomToGrow(type, {}),
    diskBytes: root.sizeBytes,
    rootClone: 'linked',
    rootDiskLimits: null,
    rootDiskDriver: null,
    hostIds: [hostId],
    keyPairs,
    userData,
    hardware: machineHardware,
    features: neededFeatures({
      ...machineHardware,
      memoryBacking: { hugePageKib, mergeable: false },
      cpu: { shares: cpu.cpu_shares, capPercent: cpu.cpu_cap_percent },
    }),
    attributes: launchAttributesOf({ name, type: typeName }, deps.clock.now()),
    warm: 'never',
  };
}

async function insertVolume(
  tx: Tx,
  access: ProjectAccess<'operator'>,
  volume: RestoredInstance['volumes'][number] & { id: VolumeId; hostId: HostId; instanceId: InstanceId },
): Promise<void> {
  const { id, hostId, instanceId, target, readOnly } = volume;
  await tx
    .insertInto('volumes')
    .values({
      ...{ id, project_id: access.projectId, name: await freeName(tx, access, volume.name), host_id: hostId },
      ...{ size_bytes: volume.sizeBytes, restored: JSON.stringify(volume.disk), failure: null },
      ...{ type: null, image_id: null, clone: null, passphrase_sealed: null, used_bytes: null },
    })
    .execute();
  await tx
    .insertInto('volume_attachments')
    .values({
      ...{ volume_id: id, instance_id: instanceId, target, read_only: readOnly, limits: null, generation: 1 },
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
