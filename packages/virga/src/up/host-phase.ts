// What a host needs before it can run guests: the folders, the user of the database, and a /dev/kvm that QEMU may open.
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync } from 'node:fs';
import {
  createDatabaseUser,
  databaseUser,
  databaseUserExists,
  type Folders,
  missingFolders,
  prepareFolders,
} from '../server/folders.ts';
import type { Phase } from './phase.ts';

const kvm = '/dev/kvm';
const kvmMode = 0o660;

export function hostPhase(folders: Folders): Phase {
  return {
    title: 'this machine',
    check: async () => [
      ...(databaseUserExists() ? [] : [`create the system user ${databaseUser}, for the database`]),
      ...missingFolders(folders),
      ...kvmFaults(),
    ],
    change: async (report) => {
      if (!databaseUserExists()) {
        report(`creating the user ${databaseUser}`);
        createDatabaseUser();
      }
      prepareFolders(folders);
      mendKvm();
    },
  };
}

/**
 * What is wrong with the rights of /dev/kvm, which only a machine without udev gets wrong. With the wrong group, libvirt
 * distrusts what it knows about QEMU, and asks QEMU again at every start, for seconds.
 */
function kvmFaults(): string[] {
  const device = lstatSync(kvm, { throwIfNoEntry: false });
  const group = kvmGroup();
  if (!device?.isCharacterDevice() || group === undefined) return [];
  const wrong = device.gid !== group || (device.mode & 0o060) !== 0o060;
  return wrong ? [`give ${kvm} to the group kvm, with mode 660`] : [];
}

function mendKvm(): void {
  const group = kvmGroup();
  if (kvmFaults().length === 0 || group === undefined) return;
  chownSync(kvm, 0, group);
  chmodSync(kvm, kvmMode);
}

function kvmGroup(): number | undefined {
  const { status, stdout } = spawnSync('getent', ['group', 'kvm'], { encoding: 'utf8' });
  return status === 0 ? Number(stdout.split(':')[2]) : undefined;
}
