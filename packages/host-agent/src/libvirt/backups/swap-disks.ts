// Puts restored disks in the place of those that an instance has, and what its machine keeps beside them, and back. Owns the order of the renames, so that at every moment
// each disk is in one place or the other, and a call that was cut short is gone on with. What rests on a disk that is replaced, such
// as a snapshot, would be lost, and a disk that is kept in another form would not be one any more: then nothing is done.
import { rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type { RestoreSwap } from '@virga/contract/agent/backups';
import { VirgaError } from '@virga/contract/errors';
import type { VolumeId } from '@virga/contract/ids';
import { otherForm, snapshotsLost } from '../../backup-conflicts.ts';
import { flushFolder, readJsonFile } from '../../durable-file.ts';
import { exists } from '../../exists.ts';
import { runCommand } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';
import { readLayers } from '../disks/disk-layers.ts';
import { lookAt } from '../instances/domain-lookup.ts';
import { instanceFiles } from '../instances/instance-folder.ts';
import { type Machine, type MachineFiles, readMachineFiles, writeMachineFiles } from '../instances/machine-files.ts';
import { isOff } from '../instances/power.ts';
import { makeDiskFile } from '../pools/disk-files.ts';
import { readVolume, volumeFile } from '../volumes/volume-folder.ts';
import { passphraseOf } from '../volumes/volume-passphrase.ts';
import { dropCheckpoints } from './checkpoints.ts';
import { fetchedDisk, fetchedMachine, replacedDisk, replacedMachine, writeMachine } from './restore-folder.ts';
import { cephPlaceOf, refuseKeptInCeph, swapBackInCeph, swapInCeph } from './swap-ceph-disk.ts';

type ImageInfo = {
  'virtual-size': number;
  encrypted?: boolean;
  'backing-filename'?: string;
  'backing-filename-format'?: string;
};

export const checkSwap = (context: AgentContext, restore: RestoreSwap): Promise<void> =>
  context.locks.run(restore.instance.id, async () => void (await requireReplaceable(context, restore)));

async function requireReplaceable(context: AgentContext, restore: RestoreSwap): Promise<Machine> {
  const machine = await requireOff(context, restore);
  for (const disk of restore.disks) {
    const ceph = await cephPlaceOf(context.storage, restore, disk);
    if (ceph !== undefined) {
      if (ceph.encrypted) throw otherForm(disk.id, 'encrypted');
      await refuseKeptInCeph(ceph, disk.id);
      continue;
    }
    await refuseOtherForm(context, restore, disk);
    if ((await readLayers(placeOf(context, restore, disk))).length > 1) throw snapshotsLost(disk.id);
  }
  return machine;
}

export function swapDisks(context: AgentContext, restore: RestoreSwap, { signal }: CallContext = {}): Promise<void> {
  const { storage, hook } = context;
  return context.locks.run(restore.instance.id, async () => {
    const machine = await requireReplaceable(context, restore);
    for (const disk of restore.disks) {
      const ceph = await cephPlaceOf(storage, restore, disk);
      if (ceph !== undefined) {
        const work = { signal, hook: (step: string) => hook(step, restore.id) };
        if (!(await swapInCeph(storage, restore, disk, ceph, work))) throw notFetched(restore);
        continue;
      }
      const place = placeOf(context, restore, disk);
      const fetched = fetchedDisk(storage, restore.id, disk.fetched);
      const replaced = replacedDisk(storage, restore.id, disk.id);
      if (!(await exists(fetched))) {
        if (await exists(replaced)) continue;
        throw notFetched(restore);
      }
      if (!(await exists(replaced))) {
        await adapt(context, disk.id, fetched, place);
        await hook('restore-set-aside', restore.id);
        await rename(place, replaced);
      }
      await hook('restore-put', restore.id);
      await rename(fetched, place);
      await flushFolder(join(place, '..'));
    }
    await swapMachine(context, restore, machine);
    await dropRecords(context, restore);
  });
}

export function swapDisksBack(context: AgentContext, restore: RestoreSwap): Promise<void> {
  const { storage } = context;
  return context.locks.run(restore.instance.id, async () => {
    for (const disk of restore.disks) {
      const ceph = await cephPlaceOf(storage, restore, disk);
      if (ceph !== undefined) {
        await swapBackInCeph(restore, disk, ceph, () => requireOff(context, restore));
        continue;
      }
      const replaced = replacedDisk(storage, restore.id, disk.id);
      if (!(await exists(replaced))) continue;
      await requireOff(context, restore);
      await rename(replaced, placeOf(context, restore, disk));
    }
    const before = await readJsonFile<MachineFiles>(replacedMachine(storage, restore.id));
    if (before !== undefined) {
      await writeMachineFiles(storage, await requireOff(context, restore), before);
      await rm(replacedMachine(storage, restore.id));
    }
    await dropRecords(context, restore);
  });
}

async function swapMachine({ storage, hook }: AgentContext, { id }: RestoreSwap, machine: Machine): Promise<void> {
  const fetched = await readJsonFile<MachineFiles>(fetchedMachine(storage, id));
  if (fetched === undefined) return;
  const replaced = replacedMachine(storage, id);
  if (!(await exists(replaced))) await writeMachine(replaced, await readMachineFiles(storage, machine));
  await hook('restore-machine', id);
  await writeMachineFiles(storage, machine, fetched);
}

function placeOf({ storage }: AgentContext, { instance }: RestoreSwap, disk: RestoreSwap['disks'][number]): string {
  return disk.role === 'root' ? instanceFiles(storage, instance.id).rootDisk : volumeFile(storage, disk.id);
}

/**
 * As large as the disk that it replaces, if that has grown, encrypted if that is, and resting on the same, of which nothing shows
 * through. May be done twice.
 */
async function adapt(context: AgentContext, id: VolumeId, fetched: string, place: string): Promise<void> {
  const [now, before] = await Promise.all([infoOf(fetched), infoOf(place)]);
  const passphrase = await passphraseOf(context, id);
  if (passphrase !== undefined) {
    if (!now.encrypted) await encrypt(fetched, passphrase, [now['virtual-size'], before['virtual-size']]);
    return;
  }
  if (now['virtual-size'] < before['virtual-size']) {
    await runCommand('qemu-img', ['resize', '-q', '-f', 'qcow2', fetched, String(before['virtual-size'])], {
      package: 'qemu-utils',
    });
  }
  const { 'backing-filename': base, 'backing-filename-format': format } = before;
  if (base === undefined) return;
  const args = ['rebase', '-u', '-f', 'qcow2', '-F', format ?? 'qcow2', '-b', base, fetched];
  await runCommand('qemu-img', args, { package: 'qemu-utils' });
}

/** In place, at once. */
async function encrypt(path: string, passphrase: string, [now, before]: [number, number]): Promise<void> {
  const image = { path, format: 'qcow2' as const, virtualSizeBytes: now };
  const sizeBytes = Math.max(now, before);
  const source = { image, clone: 'full' as const };
  await makeDiskFile(path, { format: 'qcow2', sizeBytes, preallocation: 'off', source, passphrase }, {});
}

async function infoOf(path: string): Promise<ImageInfo> {
  const args = ['info', '--output=json', '-f', 'qcow2', path];
  return JSON.parse(await runCommand('qemu-img', args, { package: 'qemu-utils' })) as ImageInfo;
}

async function requireOff(context: AgentContext, { instance, cloudId }: RestoreSwap): Promise<Machine> {
  const domain = await context.hypervisor.ask(`look at ${instance.id}`, (connection) =>
    lookAt(connection, instance.uuid),
  );
  if (domain === undefined) return { ...instance, tpm: false };
  const { record } = domain;
  if (record?.cloudId !== cloudId) {
    throw new VirgaError('Conflict', {
      detail: `The domain ${domain.ref.name} is another cloud's.`,
      action: 'Restore the backup as a new instance.',
    });
  }
  if (isOff({ ...domain, record }) && !domain.hasSavedMemory) return { ...instance, tpm: record.desired.tpm };
  throw new VirgaError('Conflict', {
    detail: `${domain.ref.name} is on, or its memory is saved: its disks cannot be replaced.`,
    action: 'Stop it first, or restore the backup as a new instance.',
  });
}

async function refuseOtherForm(
  context: AgentContext,
  restore: RestoreSwap,
  disk: RestoreSwap['disks'][number],
): Promise<void> {
  const { storage } = context;
  const volume = disk.role === 'data' ? await readVolume(storage, disk.id) : undefined;
  const [backups, own] = await Promise.all([
    stat(storage.backupsPath),
    stat(dirname(placeOf(context, restore, disk))).catch(() => undefined),
  ]);
  // It is encrypted again with the same key, which must be here.
  await passphraseOf(context, disk.id);
  if (volume?.format === 'raw') throw otherForm(disk.id, 'raw');
  if (own !== undefined && own.dev !== backups.dev) throw otherForm(disk.id, 'elsewhere');
}

/** What was recorded of the disks that were there. */
async function dropRecords(context: AgentContext, { instance }: RestoreSwap): Promise<void> {
  const domain = await context.hypervisor.ask(`look at ${instance.id}`, (connection) =>
    lookAt(connection, instance.uuid),
  );
  if (domain !== undefined) await dropCheckpoints(context, domain.ref);
}

const notFetched = ({ id }: RestoreSwap) =>
  new VirgaError('NotFound', {
    detail: `The disks of ${id} are not on this host.`,
    action: 'Restore the backup again.',
  });
