// A disk file opened by qemu-nbd, so that it can be read and written as a guest sees it, whatever its format and what it rests
// on. Owns the process and its socket, which end with the work.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed } from '../../run-command.ts';
import { NbdClient } from './nbd-client.ts';
import { startOwned } from './owned-process.ts';

const firstWaitMs = 5;
const longestWaitMs = 100;
const openMs = 60_000;

export type DiskFile = { path: string; format: 'qcow2' | 'raw' };

/** @throws CommandFailed it cannot be opened, such as when a guest has it */
export async function withOpenDisk<T>(
  { path, format }: DiskFile,
  { writes, signal }: { writes: boolean; signal?: AbortSignal | undefined },
  work: (disk: NbdClient) => Promise<T>,
): Promise<T> {
  // A short path, whatever the storage is called: the name of a socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'virga-nbd-'));
  const socket = join(folder, 's');
  const how = writes ? ['--cache=writeback', '--discard=unmap'] : ['--read-only'];
  const server = startOwned('qemu-nbd', [...how, '--persistent', '-f', format, '-k', socket, path], {
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
    package: 'qemu-utils',
  });
  try {
    const disk = await connectSoon(socket, server.ended);
    const result = await work(disk);
    if (writes) await disk.flush();
    await disk.close();
    return result;
  } finally {
    // It syncs what it has written; SIGTERM lets it.
    if (writes) server.kill('SIGTERM');
    else server.giveUp(new Error('the disk is closed'));
    await server.ended.catch(() => undefined);
    await rm(folder, { recursive: true, force: true });
  }
}

/** It says nothing when it is ready, but listens only then. */
async function connectSoon(socket: string, ended: Promise<void>): Promise<NbdClient> {
  const hasEnded = ended.then((): never => {
    throw new CommandFailed('qemu-nbd', 0, 'it ended before anybody came', undefined);
  });
  hasEnded.catch(() => undefined);
  const deadlineMs = performance.now() + openMs;
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(longestWaitMs, waitMs * 2)) {
    try {
      return await Promise.race([NbdClient.connect(socket), hasEnded]);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if ((code !== 'ENOENT' && code !== 'ECONNREFUSED') || performance.now() > deadlineMs) throw error;
    }
    await Promise.race([new Promise((resolve) => setTimeout(resolve, waitMs)), hasEnded]);
  }
}
