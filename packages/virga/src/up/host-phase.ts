// What a host needs before it can run guests: the folders, the user of the database, and what checks of hosts find that has to
// be right before libvirt starts. What else they find is told at the end, when there is a server to ask.
import { mkdirSync } from 'node:fs';
import { earlyDoctor } from '@virga/host-agent/host-checks/early-doctor';
import {
  createDatabaseUser,
  databaseUser,
  databaseUserExists,
  type Folders,
  missingFolders,
  prepareFolders,
} from '../server/folders.ts';
import { readServerSettings } from '../server/server-settings.ts';
import type { Phase } from './phase.ts';

/** Checks that libvirt's first look at QEMU rests on, and that a machine without udev gets wrong at each start. */
const beforeLibvirt = ['kvm-permissions'];

/** The host agent gives its storage the same. */
const storageMode = 0o711;

export function hostPhase(folders: Folders): Phase {
  const { storage } = readServerSettings(folders);
  const doctor = earlyDoctor(storage);
  return {
    title: 'this machine',
    check: async () => [
      ...(databaseUserExists() ? [] : [`create the system user ${databaseUser}, for the database`]),
      ...missingFolders(folders),
      ...(await doctor.checkHost(beforeLibvirt)).checks.flatMap(({ repair }) =>
        repair.map(({ path, now, after }) => `change ${path} from ${now ?? 'nothing'} to ${after ?? 'nothing'}`),
      ),
    ],
    change: async (report) => {
      if (!databaseUserExists()) {
        report(`creating the user ${databaseUser}`);
        createDatabaseUser();
      }
      prepareFolders(folders);
      mkdirSync(storage, { recursive: true, mode: storageMode });
      for (const { path } of await doctor.repairHost(beforeLibvirt)) report(`changed ${path}`);
    },
  };
}
