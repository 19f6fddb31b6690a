// Where a server keeps things on its host, and with which rights. Everything is below two folders: state that must last,
// and what a restart of the machine may take away (sockets, process ids).
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';

export const defaultStateFolder = '/var/lib/virga';

/** The unprivileged user that PostgreSQL runs as. */
export const databaseUser = 'virga';

export type Folders = {
  state: string;
  /** Sockets and process ids. The paths of unix sockets may be 107 bytes long, so this one is short. */
  run: string;
  database: string;
  log: string;
};

/** The folders of a server. @param run default `/run/virga` for the default state folder, else `run` in the state folder */
export function foldersOf(state: string, run?: string): Folders {
  return {
    state,
    run: run ?? (state === defaultStateFolder ? '/run/virga' : join(state, 'run')),
    database: join(state, 'database'),
    log: join(state, 'log'),
  };
}

/** The kernel that KVM is proved with, if there is one. */
export const probeKernel = (folders: Folders): string => join(folders.state, 'probe', 'vmlinuz');

/** Modes of what we make. QEMU, as a user of its own, reaches images through the state folder without listing it. */
const modes = (folders: Folders): [path: string, mode: number][] => [
  [folders.state, 0o711],
  [folders.run, 0o755],
  [folders.log, 0o750],
];

/** What `prepareFolders` would change, a line each. */
export function missingFolders(folders: Folders): string[] {
  return modes(folders).flatMap(([path, mode]) => {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!found) return [`create ${path}`];
    return (found.mode & 0o777) === mode ? [] : [`set the mode of ${path} to ${mode.toString(8)}`];
  });
}

/** Makes the folders, and mends their modes. @throws InvalidArgument the run folder is too long for a socket in it */
export function prepareFolders(folders: Folders): void {
  if (Buffer.byteLength(folders.run) > 80) {
    throw new VirgaError('InvalidArgument', {
      detail: `The path ${folders.run} is too long for unix sockets below it, which may have 107 bytes.`,
      action: 'Choose a shorter state folder, or name a run folder with --run.',
    });
  }
  for (const [path, mode] of modes(folders)) {
    mkdirSync(path, { recursive: true });
    chmodSync(path, mode);
  }
}

/** True when the user that PostgreSQL runs as is there. */
export function databaseUserExists(): boolean {
  return spawnSync('getent', ['passwd', databaseUser], { stdio: 'ignore' }).status === 0;
}

/** Makes the user that PostgreSQL runs as. @throws OperationFailed useradd refuses */
export function createDatabaseUser(): void {
  const args = ['--system', '--user-group', '--no-create-home', '--home-dir', '/nonexistent', '--shell'];
  const shell = existsSync('/usr/sbin/nologin') ? '/usr/sbin/nologin' : '/bin/false';
  const { status, stderr } = spawnSync('useradd', [...args, shell, databaseUser], { encoding: 'utf8' });
  if (status === 0) return;
  throw new VirgaError('OperationFailed', {
    detail: `The user ${databaseUser} could not be made: ${stderr?.trim() || `useradd ended with ${status}`}.`,
    action: 'Mend that, then run this again.',
  });
}
