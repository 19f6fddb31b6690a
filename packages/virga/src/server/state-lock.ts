// One server a state folder. The lock is the kernel's (flock on a file of the folder): it ends with the process that
// holds it, however that ends, and so never has to be taken over from a dead one.
import { spawnSync } from 'node:child_process';
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { VirgaError } from '@virga/contract/errors';

export type StateLock = { release(): void };

/** The file that the lock is on; it holds the process id of the server. */
export const lockPath = (stateFolder: string) => join(stateFolder, 'server.lock');

/**
 * Takes the lock of a state folder, for as long as this process lives or until it is released.
 * @throws Conflict another server has it
 */
export function lockState(stateFolder: string): StateLock {
  const path = lockPath(stateFolder);
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  if (!flockPatiently(file)) {
    const holder = readFileSync(path, 'utf8').trim();
    closeSync(file);
    throw new VirgaError('Conflict', {
      detail: `Another Virga server${holder ? ` (process ${holder})` : ''} runs on the state folder ${stateFolder}.`,
      action: 'Stop it with script/down, or give this one a folder of its own with --state.',
    });
  }
  ftruncateSync(file);
  writeSync(file, `${process.pid}\n`, 0);
  return { release: () => closeSync(file) };
}

/** The process id of the server that runs on a state folder, if one does. Takes nothing. */
export function lockHolder(stateFolder: string): number | undefined {
  const path = lockPath(stateFolder);
  let file: number;
  try {
    file = openSync(path, constants.O_RDWR);
  } catch {
    return undefined;
  }
  try {
    if (flock(file)) return undefined;
    return Number(readFileSync(path, 'utf8').trim()) || undefined;
  } finally {
    closeSync(file);
  }
}

const attempts = 10;
const pauseMs = 50;

/** Tries for half a second: `lockHolder` of another process has the lock for as long as it looks. */
function flockPatiently(file: number): boolean {
  for (let attempt = 1; !flock(file); attempt++) {
    if (attempt === attempts) return false;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs);
  }
  return true;
}

/**
 * Node cannot lock files. util-linux's flock locks the open file that it inherits, and the lock stays with that open
 * file, which is ours, when flock has ended.
 */
function flock(file: number): boolean {
  const { status, error } = spawnSync('flock', ['--exclusive', '--nonblock', '3'], {
    stdio: ['ignore', 'ignore', 'ignore', file],
  });
  if (error) throw error;
  return status === 0;
}
