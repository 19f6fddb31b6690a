// The disk in an image file as plain bytes, without converting it: QEMU's storage daemon shows it as a file, by FUSE, in a
// mount namespace of its own, so that nothing of it stays on the host however this process ends. Where there is no FUSE it is
// converted. Owns that daemon. Fails with HostUnavailable or CommandFailed.
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { VirgaError } from '@virga/contract/errors';
import { exists } from '../exists.ts';
import { CommandFailed, runCommand } from '../run-command.ts';
import { runAsNobody, type SandboxOptions, startAsNobody } from './sandbox.ts';

export type DiskFile = { path: string; format: 'raw' | 'qcow2' };

type RunOptions = Omit<SandboxOptions, 'mountsOf'>;

export type RawDisk = {
  /** As programs of the sandbox see it. */
  path: string;
  /** A folder that they can read. */
  scratch: string;
  writable: boolean;
  sizeBytes(): Promise<number>;
  run(program: string, args: readonly string[], options?: RunOptions): Promise<Buffer>;
  /** A program that is talked with; it ends when the disk is closed. */
  start(program: string, args: readonly string[], options?: RunOptions): ChildProcessWithoutNullStreams;
  /** What was changed is in the file that was opened, or in the one that stands for it. */
  close(): Promise<DiskFile>;
};

type Options = {
  /** A folder that exists, and that may be used for what is needed meanwhile. */
  folder: string;
  /** Changes go to the file itself: give one that nothing rests on. */
  writable: boolean;
  signal?: AbortSignal | undefined;
  /** False: as on a host without FUSE. */
  fuse?: boolean;
};

const readyMs = 30_000;
const pollMs = 5;
const convertMs = 3_600_000;
const scratchMode = 0o711;

export async function openRawDisk(file: DiskFile, options: Options): Promise<RawDisk> {
  const { folder, writable, signal } = options;
  const scratch = join(folder, 'contents');
  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { mode: scratchMode });
  const path = join(scratch, 'disk');
  const hasFuse = options.fuse ?? (await exists('/dev/fuse'));
  const open = file.format === 'raw' && writable ? asItIs : hasFuse ? showByFuse : convert;
  const disk = await open(file, { ...options, scratch, path, signal });
  try {
    await disk.run('test', ['-r', disk.path]);
    return disk;
  } catch (error) {
    await disk.close();
    if (!(error instanceof CommandFailed)) throw error;
    throw new VirgaError('HostUnavailable', {
      detail: `Programs that are nobody cannot reach ${folder}, where disks are looked into.`,
      action: 'Let everybody cross the folders above it: chmod o+x.',
      cause: error,
    });
  }
}

type Opening = Options & { scratch: string; path: string };

/** A raw file that may be changed needs nobody in between. */
async function asItIs(file: DiskFile, { scratch, signal, writable }: Opening): Promise<RawDisk> {
  await chmod(file.path, 0o666);
  const { ways, end } = programs({ signal });
  return {
    ...{ path: file.path, scratch, writable, ...ways },
    sizeBytes: () => sizeOf(file.path),
    close: () => end().then(() => leave(scratch, file)),
  };
}

async function showByFuse(file: DiskFile, { writable, scratch, path, signal }: Opening): Promise<RawDisk> {
  await writeFile(path, '');
  const node = { driver: file.format, 'node-name': 'disk', 'read-only': !writable, discard: 'unmap' };
  const pidFile = join(scratch, 'pid');
  const daemon = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', 'unshare', '--mount', '--', 'qemu-storage-daemon', '--pidfile', pidFile],
      ...['--blockdev', JSON.stringify({ ...node, file: { driver: 'file', filename: file.path } })],
      ...[
        '--export',
        `type=fuse,id=disk,node-name=disk,mountpoint=${path},allow-other=on,writable=${writable ? 'on' : 'off'}`,
      ],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  daemon.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-2000);
  });
  const ended = once(daemon, 'close').catch((error: unknown) => {
    said = String(error);
  });
  const end = async () => {
    daemon.kill('SIGTERM');
    await ended;
  };
  try {
    await untilReady(daemon, pidFile, () => said, signal);
    // Seen from here through the daemon's own root: in no other namespace is it mounted.
    await chmod(`/proc/${daemon.pid}/root${path}`, writable ? 0o666 : 0o444);
  } catch (error) {
    await end();
    await rm(scratch, { recursive: true, force: true });
    throw error;
  }
  const { ways, end: endPrograms } = programs({ signal, mountsOf: daemon.pid });
  return {
    ...{ path, scratch, writable, ...ways },
    sizeBytes: () => sizeOf(`/proc/${daemon.pid}/root${path}`),
    async close() {
      await endPrograms();
      await end();
      return leave(scratch, file);
    },
  };
}

async function untilReady(
  daemon: ChildProcess,
  pidFile: string,
  said: () => string,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + readyMs;
  while (!(await exists(pidFile))) {
    signal?.throwIfAborted();
    if (daemon.exitCode !== null || daemon.signalCode !== null || Date.now() > deadline) {
      throw new CommandFailed('qemu-storage-daemon', daemon.exitCode, said(), undefined);
    }
    await delay(pollMs, undefined, { signal });
  }
}

async function convert(file: DiskFile, { writable, scratch, path, folder, signal }: Opening): Promise<RawDisk> {
  const raw = writable ? join(folder, 'disk.raw') : path;
  const args = ['convert', '-q', '-f', file.format, '-O', 'raw', file.path, raw];
  await runCommand('qemu-img', args, { signal, timeoutMs: convertMs, package: 'qemu-utils' });
  await chmod(raw, writable ? 0o666 : 0o444);
  const { ways, end } = programs({ signal });
  return {
    ...{ path: raw, scratch, writable, ...ways },
    sizeBytes: () => sizeOf(raw),
    close: () => end().then(() => leave(scratch, writable ? { path: raw, format: 'raw' } : file)),
  };
}

/** What looks at the disk, and its end. */
function programs(place: Pick<SandboxOptions, 'signal' | 'mountsOf'>) {
  const started = new Map<ChildProcess, Promise<unknown>>();
  const ways: Pick<RawDisk, 'run' | 'start'> = {
    run: (program, args, options) => runAsNobody(program, args, { ...place, ...options }),
    start(program, args, options) {
      const child = startAsNobody(program, args, { ...place, ...options });
      started.set(child, new Promise((resolve) => child.once('close', resolve)));
      return child;
    },
  };
  const end = async () => {
    for (const child of started.keys()) child.kill('SIGKILL');
    await Promise.all(started.values());
  };
  return { ways, end };
}

async function leave(scratch: string, file: DiskFile): Promise<DiskFile> {
  await rm(scratch, { recursive: true, force: true });
  return file;
}

const sizeOf = async (path: string): Promise<number> => (await stat(path)).size;
