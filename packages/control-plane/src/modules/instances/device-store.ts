// What instances have besides their root disk: rows of their network interfaces and of the volumes attached to them, read
// with the instance. One that is to go is no longer desired, yet there until the host has said that it is gone.
import { randomBytes } from 'node:crypto';
import type {
  DesiredNic,
  DesiredVolumeAttachment,
  DiskDriver,
  DiskLimits,
  NicLimits,
} from '@virga/contract/agent/desired';
import type { InstanceId, NetworkId, NetworkInterfaceId, VolumeId } from '@virga/contract/ids';
import type { AttachedVolume, DeviceState, NetworkInterface } from '@virga/contract/rest/instance-devices';
import { type Insertable, sql } from 'kysely';
import type { SystemAccess, WriteAccess } from '../../access/authorizer.ts';
import { appendEvent } from '../../events/event-log.ts';
import type { Failure } from '../../store/compute-tables.ts';
import type { Tx } from '../../store/database.ts';
import { notify } from '../../store/notifications.ts';
import type { Database } from '../../store/schema.ts';
import { releaseAddresses } from '../networks/address-store.ts';
import { deleteVolumeRow, resourceOf, wakeVolume } from '../volumes/volume-store.ts';

type Change = { generation: number; detaching: boolean };

export type InstanceNic = Change & {
  id: NetworkInterfaceId;
  networkId: NetworkId;
  networkName: string;
  mac: string;
  address: string;
  limits: NicLimits | null;
};

export type InstanceVolume = Change & {
  id: VolumeId;
  name: string;
  sizeBytes: number;
  target: string;
  readOnly: boolean;
  limits: DiskLimits | null;
  driver: DiskDriver | null;
  scratch: boolean;
  /** Its host is still making it, as after a restore. */
  isPending: boolean;
  /** Why it never came to be. */
  notMade: Failure | null;
  deleteWithInstance: boolean;
};

type Devices = { nics: InstanceNic[]; volumes: InstanceVolume[]; converged_generation: number };

/** To be selected with an instance. */
export const instanceNics = sql<InstanceNic[]>`(
  select coalesce(json_agg(json_build_object('id', n.id, 'networkId', n.network_id, 'networkName', w.name, 'mac', n.mac,
    'address', host(n.address), 'limits', n.limits, 'generation', n.generation, 'detaching', n.detaching)
    order by n.position, n.id), '[]'::json)
  from nics n join networks w on w.id = n.network_id where n.instance_id = instances.id)`;

export const instanceVolumes = sql<InstanceVolume[]>`(
  select coalesce(json_agg(json_build_object('id', v.id, 'name', v.name, 'sizeBytes', v.size_bytes, 'target', a.target,
    'readOnly', a.read_only, 'limits', a.limits, 'driver', a.driver, 'scratch', v.scratch,
    'isPending', v.converged_generation = 0 and v.failure is null,
    'notMade', case when v.converged_generation = 0 then v.failure end, 'generation', a.generation, 'detaching', a.detaching,
    'deleteWithInstance', a.delete_with_instance) order by a.target), '[]'::json)
  from volume_attachments a join volumes v on v.id = a.volume_id where a.instance_id = instances.id)`;

export const wantedNics = ({ nics }: Pick<Devices, 'nics'>): DesiredNic[] =>
  nics
    .filter(({ detaching }) => !detaching)
    .map(({ id, networkId, mac, address, limits }) => ({ id, networkId, mac, address, ...(limits && { limits }) }));

export const wantedVolumes = ({ volumes }: Pick<Devices, 'volumes'>): DesiredVolumeAttachment[] =>
  volumes
    .filter(({ detaching }) => !detaching)
    .map(({ id, target, readOnly, limits, driver }) => ({
      id,
      target,
      readOnly,
      ...(limits && { limits }),
      ...(driver && { driver }),
    }));

export const networkInterfacesOf = ({ nics, converged_generation: converged }: Devices): NetworkInterface[] =>
  nics.map(({ generation, detaching, ...nic }) => ({ ...nic, state: stateOf({ generation, detaching }, converged) }));

export const attachedVolumesOf = ({ volumes, converged_generation: converged }: Devices): AttachedVolume[] =>
  volumes.map(({ generation, detaching, scratch: _s, deleteWithInstance: _d, notMade: _n, ...volume }) => ({
    ...volume,
    state: stateOf({ generation, detaching }, converged),
  }));

function stateOf({ generation, detaching }: Change, convergedGeneration: number): DeviceState {
  if (detaching) return 'detaching';
  return generation > convergedGeneration ? 'attaching' : 'attached';
}

/** True while the guest is to let go of something. */
export const hasDetaching = ({ nics, volumes }: Pick<Devices, 'nics' | 'volumes'>): boolean =>
  [...nics, ...volumes].some(({ detaching }) => detaching);

/** Of what it is to have. It cannot start without. */
export const hasPending = ({ volumes }: Pick<Devices, 'volumes'>): boolean =>
  volumes.some(({ isPending, detaching }) => isPending && !detaching);

/** Why one that it is to have from the start could not be made: without it there is no such instance. */
export const notMadeOf = ({ volumes }: Pick<Devices, 'volumes'>): Failure | undefined =>
  volumes.find(({ notMade, detaching }) => notMade !== null && !detaching)?.notMade ?? undefined;

/** The host has said that what was to go is gone: volumes are free, and so are addresses. */
export async function forgetDetached(
  tx: Tx,
  access: SystemAccess,
  { nics, volumes }: Pick<Devices, 'nics' | 'volumes'>,
  now: Date,
): Promise<void> {
  const goneVolumes = volumes.filter(({ detaching }) => detaching).map(({ id }) => id);
  if (goneVolumes.length > 0) {
    await tx.deleteFrom('volume_attachments').where('volume_id', 'in', goneVolumes).execute();
  }
  const goneNics = nics.filter(({ detaching }) => detaching);
  if (goneNics.length === 0) return;
  const ids = goneNics.map(({ id }) => id);
  await releaseAddresses(tx, access, ids, now);
  await tx.deleteFrom('nics').where('id', 'in', ids).execute();
  for (const id of new Set(goneNics.map(({ networkId }) => networkId))) await notify(tx, 'networks', id);
}

/** The volumes of an instance are to go with it. */
export async function doomVolumes(tx: Tx, _access: WriteAccess, id: InstanceId): Promise<void> {
  await tx
    .updateTable('volume_attachments')
    .set({ delete_with_instance: true })
    .where('instance_id', '=', id)
    .execute();
}

/** The instance is gone: its volumes are free, and those go that were to go with it. */
export async function leaveVolumes(
  tx: Tx,
  access: SystemAccess,
  { name, volumes }: Pick<Devices, 'volumes'> & { name: string },
): Promise<void> {
  if (volumes.length === 0) return;
  const ids = volumes.map(({ id }) => id);
  await tx.deleteFrom('volume_attachments').where('volume_id', 'in', ids).execute();
  const doomed = volumes.filter(({ deleteWithInstance }) => deleteWithInstance).map(({ id }) => id);
  if (doomed.length === 0) return;
  const rows = await tx.selectFrom('volumes').selectAll().where('id', 'in', doomed).forUpdate().execute();
  // One that could not be made goes as soon as nobody has it.
  for (const { id } of rows.filter(({ desired }) => desired === 'deleted')) await wakeVolume(tx, id);
  // What is protected stays.
  for (const row of rows.filter((volume) => volume.desired !== 'deleted' && !volume.delete_protection)) {
    await deleteVolumeRow(tx, access, row);
    await appendEvent(tx, access, {
      type: 'volume.delete-requested',
      ...resourceOf(row),
      message: `Volume ${row.name} is deleted with instance ${name}, as was asked for.`,
    });
  }
}

/** With a random MAC address of the range that QEMU uses (52:54:00); another one when it is taken. */
export async function insertNic(
  tx: Tx,
  _access: WriteAccess,
  nic: Omit<Insertable<Database['nics']>, 'mac'>,
): Promise<string> {
  for (;;) {
    const mac = `52:54:00:${[...randomBytes(3)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
    const inserted = await tx
      .insertInto('nics')
      .values({ ...nic, mac })
      .onConflict((conflict) => conflict.constraint('nics_mac').doNothing())
      .returning('id')
      .executeTakeFirst();
    if (inserted) return mac;
  }
}
