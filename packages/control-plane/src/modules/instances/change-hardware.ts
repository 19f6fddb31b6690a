// Asks for another machine or another disc, in one transaction. A machine is made when it starts: what a guest that runs
// cannot have is refused before anything changes, or comes with a power cycle that was asked for with it. A disc is changed
// while the guest runs, when it has a drive.
import { randomBytes } from 'node:crypto';
import { hostIncapable, neededFeatures } from '@virga/contract/agent/host-features';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId, OperationId } from '@virga/contract/ids';
import type { ChangeCdrom, ChangeHardware } from '@virga/contract/rest/instance-hardware';
import type { Instance } from '@virga/contract/rest/instances';
import type { ProjectAccess } from '../../access/authorizer.ts';
import type { Deps } from '../../deps.ts';
import type { Tx } from '../../store/database.ts';
import { resolveImage } from '../images/image-store.ts';
import { amendInstance, type HardwareColumns, type InstanceChange, joinOperation } from './instance-change.ts';
import { type MachineHardware, refuseImpossible } from './instance-hardware.ts';
import { change } from './instance-operations.ts';
import type { InstanceRow } from './instance-store.ts';

/** How long the guest may take to shut down for a restart. */
const shutDownMs = 60_000;

type Changed = { instance: Instance; operationId: OperationId };

/**
 * Changes what the machine is made of. Asking for what it is made of already succeeds at once.
 * @throws InvalidArgument these do not go together
 * @throws HostIncapable its host cannot give such a machine
 * @throws Conflict it runs and `restart` is not set, or its state does not allow it
 */
export async function changeHardware(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { restart = false, cdrom, ...asked }: ChangeHardware,
  ifMatch?: number,
): Promise<Changed> {
  return change(deps, access, id, ifMatch, async (tx, row) => {
    const kind = 'instance.change-hardware';
    refuseUnchangeable(row);
    const before = hardwareOf(row);
    const { watchdog = before.watchdog, cdromDrive = before.cdromDrive } = { ...asked, cdromDrive: cdrom };
    const wanted: MachineHardware = {
      hardware: asked.hardware ?? before.hardware,
      firmware: asked.firmware ?? before.firmware,
      tpm: asked.tpm ?? before.tpm,
      watchdog,
      bootOrder: asked.bootOrder ?? before.bootOrder,
      cdromDrive,
    };
    if (JSON.stringify(wanted) === JSON.stringify(before)) {
      return joinOperation(tx, access, row, kind, deps.clock.now());
    }
    refuseImpossible(wanted);
    refuseThreads(row, wanted);
    await refuseIncapable(tx, row, wanted);
    const set: HardwareColumns = {
      hardware: wanted.hardware,
      firmware: wanted.firmware,
      tpm: wanted.tpm,
      watchdog: wanted.watchdog,
      boot_order: JSON.stringify(wanted.bootOrder),
      cdrom_drive: wanted.cdromDrive,
      ...(!wanted.cdromDrive && { cdrom_image_id: null }),
    };
    const what = 'What its machine is made of';
    return whenOff(deps, tx, access, row, { kind, set, data: { ...wanted, restart } }, { restart, what });
  });
}

/**
 * Inserts a disc, or ejects what is in the drive. The drive stays. A guest that has locked the tray keeps its disc until it
 * lets go of it, and the operation waits, unless it is forced.
 * @throws NotFound | InvalidArgument the image is no ISO | Conflict it runs without a drive and `restart` is not set
 */
export async function changeCdrom(
  deps: Deps,
  access: ProjectAccess<'operator'>,
  id: InstanceId,
  { image, force = false, restart = false }: ChangeCdrom,
  ifMatch?: number,
): Promise<Changed> {
  return change(deps, access, id, ifMatch, async (tx, row) => {
    const kind = 'instance.change-cdrom';
    refuseUnchangeable(row);
    const disc = image === null ? null : await resolveImage(tx, access, image, { kind: 'iso' });
    const discId = disc?.id ?? null;
    const isForcedNow = force && !row.cdrom_forced && row.generation !== row.converged_generation;
    if (discId === row.cdrom_image_id && !isForcedNow) {
      return joinOperation(tx, access, row, kind, deps.clock.now());
    }
    const set: HardwareColumns = { cdrom_drive: true, cdrom_image_id: discId, cdrom_forced: force };
    const amendment = { kind, set, data: { image: discId, force, restart } };
    if (row.cdrom_drive) return amendInstance(tx, access, row, amendment);
    return whenOff(deps, tx, access, row, amendment, { restart, what: 'A CD-ROM drive' });
  });
}

/** @throws Conflict it is on and may not be restarted */
async function whenOff(
  { clock }: Pick<Deps, 'clock'>,
  tx: Tx,
  access: ProjectAccess<'operator'>,
  row: InstanceRow,
  { kind, set, data }: { kind: string; set: HardwareColumns; data: Record<string, unknown> },
  { restart, what }: { restart: boolean; what: string },
): Promise<InstanceChange | OperationId> {
  if (row.desired === 'stopped') return amendInstance(tx, access, row, { kind, set, data });
  if (!restart) {
    throw new VirgaError('Conflict', {
      detail: `${what} cannot change while instance ${row.name} runs.`,
      action: `Stop it first, or let it be restarted with --restart.`,
      field: '/restart',
    });
  }
  const token = `${row.generation + 1}-${randomBytes(6).toString('hex')}`;
  const forceAt = new Date(clock.now().getTime() + shutDownMs).toISOString();
  return { kind, set: { ...set, reboot: JSON.stringify({ token, how: 'cycle', forceAt }) }, data };
}

/** @throws Conflict */
function refuseUnchangeable({ name, desired, origin }: InstanceRow): void {
  const refuse = (detail: string, action: string) => new VirgaError('Conflict', { detail, action });
  if (desired === 'deleted') throw refuse(`Instance ${name} is being deleted.`, 'Launch another one.');
  if (origin === 'adopted') {
    throw refuse(
      `Instance ${name} was adopted, and its machine is what its own definition says.`,
      `Change the definition: virga edit ${name}.`,
    );
  }
  if (desired === 'hibernated') {
    throw refuse(
      `The memory of instance ${name} is saved, and fits only the machine that it was.`,
      `Let it run first: virga start ${name}.`,
    );
  }
}

/** Disks with threads of their own are virtio disks. @throws InvalidArgument */
function refuseThreads({ name, root_disk_driver, volumes }: InstanceRow, { hardware }: MachineHardware): void {
  const disk = root_disk_driver?.ioThread ? 'root' : volumes.find(({ driver }) => driver?.ioThread)?.name;
  if (hardware === 'virtio' || disk === undefined) return;
  throw new VirgaError('InvalidArgument', {
    detail: `A disk of instance ${name} has an I/O thread, which needs virtio hardware.`,
    action: `Take it away first: virga disks set ${name} ${disk} --io-thread no`,
    field: '/hardware',
  });
}

/** @throws HostIncapable */
async function refuseIncapable(tx: Tx, { host_id }: InstanceRow, wanted: MachineHardware): Promise<void> {
  const host = await tx
    .selectFrom('hosts')
    .select(['name', 'facts'])
    .where('id', '=', host_id)
    .executeTakeFirstOrThrow();
  const { features } = host.facts ?? {};
  const missing = neededFeatures(wanted).find((feature) => features?.includes(feature) === false);
  if (missing) throw hostIncapable(`Host ${host.name}`, missing);
}

const hardwareOf = (row: InstanceRow): MachineHardware => ({
  hardware: row.hardware,
  firmware: row.firmware,
  tpm: row.tpm,
  watchdog: row.watchdog,
  bootOrder: row.boot_order,
  cdromDrive: row.cdrom_drive,
});
