// The rules of devices that come and go, pure: when an instance can be given one or lose one, and where it gets its place.
import { VirgaError } from '@virga/contract/errors';
import { maxDevices, maxHotPlugged } from '@virga/contract/rest/instance-devices';
import type { InstanceRow } from './instance-store.ts';

type Row = Pick<
  InstanceRow,
  | ('name' | 'desired' | 'state' | 'observed_state' | 'origin' | 'hardware' | 'nics' | 'volumes' | 'domain_name')
  | 'power_generation'
>;

const places = [...'cdefghijklmnopqrstuvwxyz'].map((letter) => `vd${letter}`);

/** The first free place: root disk and seed have the first two. */
export function freeTarget({ volumes }: Pick<Row, 'volumes'>): string {
  return places.find((place) => !volumes.some(({ target }) => target === place))!;
}

const isOff = ({ desired, observed_state: observed }: Row): boolean =>
  desired === 'stopped' && (observed === 'stopped' || observed === 'absent');

/** @throws Conflict nothing can be changed about its devices now */
export function requireChangeable(row: Row): void {
  const { name } = row;
  if (row.desired === 'deleted') throw conflict(`Instance ${name} is being deleted.`, 'Use another one.');
  if (row.origin === 'adopted') {
    throw conflict(
      `The definition of instance ${name} was made by somebody else, and Virga leaves it so.`,
      `Use virsh: virsh attach-disk ${row.domain_name}, virsh attach-interface ${row.domain_name}.`,
    );
  }
  if (row.desired === 'hibernated' || row.observed_state === 'hibernated') {
    throw conflict(
      `Instance ${name} is ${row.state}: its saved memory knows its devices as they are.`,
      `Wake it first: virga start ${name}`,
    );
  }
}

/** @throws Conflict the guest runs on hardware that cannot be changed while it does, or has all that it can have */
export function requireRoom(row: Row): void {
  requireChangeable(row);
  refuseFixedHardware(row);
  const devices = [...row.nics, ...row.volumes];
  if (devices.length >= maxDevices) {
    throw conflict(
      `Instance ${row.name} has ${maxDevices} volumes and network interfaces, which is as many as one can have.`,
      'Take one out first.',
    );
  }
  if (isOff(row) || devices.filter(({ generation }) => generation > row.power_generation).length < maxHotPlugged)
    return;
  throw conflict(
    `Instance ${row.name} was given ${maxHotPlugged} devices since it was started, which is as many as it has ports for.`,
    `Stop it and start it again, then it can have more: virga stop ${row.name} --wait && virga start ${row.name}`,
  );
}

/** @throws Conflict as {@link requireRoom}, or the guest stands still */
export function requireRelease(row: Row): void {
  requireChangeable(row);
  refuseFixedHardware(row);
  if (row.observed_state !== 'paused') return;
  throw conflict(
    `Instance ${row.name} is paused, and a guest that stands still lets go of nothing.`,
    `Let it go on first: virga resume ${row.name}`,
  );
}

function refuseFixedHardware(row: Row): void {
  if (row.hardware === 'virtio' || isOff(row)) return;
  throw conflict(
    `Instance ${row.name} has ${row.hardware} hardware, which cannot be plugged while it is on.`,
    `Stop it first: virga stop ${row.name}`,
  );
}

const conflict = (detail: string, action: string) => new VirgaError('Conflict', { detail, action });
