// A disk file opened by qemu-nbd, so that it can be read and written as a guest sees it, whatever its format and what it rests
// on. Owns the process and its socket, which end with the work.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFailed } from '../../run-command.ts';
import { openedWith, withKeys } from '../pools/disk-files.ts';
import { keyId } from '../pools/pool-driver.ts';
import { NbdClient } from './nbd-client.ts';
import { startOwned } from './owned-process.ts';

const firstWaitMs = 5;
const longestWaitMs = 100;
const openMs = 60_000;

export type DiskFile = {
  path: string;
  format: 'qcow2' | 'raw';
  /** It is encrypted, with the key of its volume, as are these files that it rests on, from above. Absent: it is not. */
  encryptedOn?: string[] | undefined;
};
/** As QEMU finds what is no file. */
type Remote = { options: string };

/** @throws CommandFailed it cannot be opened, such as when a guest has it */
export async function withOpenDisk<T>(
  disk: DiskFile | Remote,
  opening: { writes: boolean; signal?: AbortSignal | undefined; passphrase?: string | undefined },
  work: (disk: NbdClient) => Promise<T>,
): Promise<T> {
  return withImage(disk, opening.passphrase, (image) => withServer(image, opening, work));
}

/** @param use gets the arguments that open it for a program of QEMU's */
export function withImage<T>(
  disk: DiskFile | Remote,
  passphrase: string | undefined,
  use: (image: string[]) => Promise<T>,
): Promise<T> {
  if ('options' in disk) return use(['--image-opts', disk.options]);
  const { path, format, encryptedOn } = disk;
  if (passphrase === undefined || encryptedOn === undefined) return use(['-f', format, path]);
  return withKeys({ [keyId]: passphrase }, (keys) =>
    use([...keys, '--image-opts', openedWith([path, ...encryptedOn], keyId)]),
  );
}

async function withServer<T>(
  image: readonly string[],
  { writes, signal }: { writes: boolean; signal?: AbortSignal | undefined },
  work: (disk: NbdClient) => Promise<T>,
): Promise<T> {
  // A short path, whatever the storage is called: the name of a socket has at most 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), 'virga-nbd-'));
  const socket = join(folder, 's');
  const how = writes ? ['--cache=writeback', '--discard=unmap'] : ['--read-only'];
  const server = startOwned('qemu-nbd', [...how, '--persistent', '-k', socket, ...image], {
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
    package: 'qemu-utils',
  });
  try {
    const open = await connectSoon(socket, server.ended);
    const result = await work(open);
    if (writes) await open.flush();
    await open.close();
    return result;
  } finally {
    // It syncs what it has written, and tells Ceph that it is gone, which else waits half a minute for it; SIGTERM lets it.
    if (writes || image.includes('--image-opts')) server.kill('SIGTERM');
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
