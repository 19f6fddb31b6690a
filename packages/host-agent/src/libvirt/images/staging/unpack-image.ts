// Takes what has come apart until there is one disk in one file, or refuses it: decompressed by programs that are locked away
// and may not write without end, and out of archives by place. Everything is in the folder of the staged file, and goes with it.
import { createHash } from 'node:crypto';
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageFormat, ImageLimits, StatedFormat } from '@virga/contract/agent/image-source';
import { VirgaError } from '@virga/contract/errors';
import { imageBytes } from '../../../image-formats/image-bytes.ts';
import { type Inspected, inspectImage } from '../../../image-formats/inspect-image.ts';
import { findDisk } from '../../../image-formats/ova.ts';
import { fetchAgain, refuseImage } from '../../../image-formats/refusal.ts';
import type { Compression } from '../../../image-formats/signatures.ts';
import { makeSandboxFolder, runSandboxed } from '../../../sandbox/sandbox.ts';
import { reserveBytes, type Storage, storageFull, storageSpace } from '../../storage.ts';

export type Unpacking = {
  folder: string;
  storage: Storage;
  stated: { format: StatedFormat; kind: 'disk' | 'iso' };
  limits: ImageLimits;
  signal: AbortSignal | undefined;
};
export type Unpacked = Extract<Inspected, { kind: 'disk' }> & { path: string; cameAs: ImageFormat };

const mebibyte = 1024 ** 2;
const memoryBytes = 512 * mebibyte;
const copyBytes = 4 * mebibyte;
const programs: Record<Compression, { program: string; args: string[]; package: string }> = {
  gzip: { program: 'gzip', args: ['-dc'], package: 'gzip' },
  xz: { program: 'xz', args: ['-dc', '--threads=1', '--memlimit-decompress=256MiB'], package: 'xz-utils' },
  zstd: { program: 'zstd', args: ['-dc', '-q', '--memory=256MB'], package: 'zstd' },
};

/** @throws ImageUnusable | StorageFull | HostIncapable */
export async function unpackImage(path: string, unpacking: Unpacking): Promise<Unpacked> {
  const { stated, limits } = unpacking;
  const bounds = { kind: stated.kind, maximumVirtualBytes: limits.maximumVirtualBytes };
  let [at, found] = [path, await inspect(path, { ...bounds, format: stated.format })];
  if (found.kind === 'compressed') {
    at = await decompress(at, found.compression, unpacking);
    found = await inspect(at, { ...bounds, format: stated.format });
    if (found.kind === 'compressed') throw refuseImage('is compressed more than once', fetchAgain);
  }
  if (found.kind === 'disk') return { ...found, path: at, cameAs: found.format };
  at = await takeOut(at, unpacking);
  found = await inspect(at, { ...bounds, format: 'detect' });
  if (found.kind === 'disk' && found.format !== 'raw') return { ...found, path: at, cameAs: 'ova' };
  throw refuseImage('is an archive whose disk is of another format than an OVA has', fetchAgain);
}

async function inspect(path: string, stated: Parameters<typeof inspectImage>[1]): Promise<Inspected> {
  await using file = await open(path, 'r');
  return await inspectImage(imageBytes(file, (await file.stat()).size), stated);
}

async function decompress(path: string, compression: Compression, unpacking: Unpacking): Promise<string> {
  const { folder, storage, limits, signal } = unpacking;
  const target = join(folder, 'unpacked');
  await rm(target, { force: true });
  await using source = await open(path, 'r');
  await using output = await open(target, 'wx', 0o600);
  const room = await writable(storage, limits);
  const { program, args, package: packageName } = programs[compression];
  const { exitCode, stderr, isTimedOut } = await runSandboxed({
    ...{ program, args, signal, stdin: source.fd, stdout: output.fd },
    folder: await makeSandboxFolder(folder),
    limits: { memoryBytes, cpuSeconds: 3600, fileBytes: room.bytes, timeoutMs: limits.maximumSeconds * 1000 },
  });
  if (exitCode === 0) return target;
  if (/failed to execute/.test(stderr)) {
    throw new VirgaError('HostIncapable', {
      detail: `The image is compressed with ${compression}, and ${program} is not installed on the host.`,
      action: `Install it: apt-get install ${packageName}`,
    });
  }
  if (isTimedOut) throw refuseImage('takes longer to unpack than an image may', fetchAgain);
  const isFull = /File too large|No space left/.test(stderr) || (await output.stat()).size >= room.bytes - mebibyte;
  if (isFull) throw room.exceeded();
  throw refuseImage(`is corrupt: ${program} cannot unpack it`, fetchAgain);
}

async function takeOut(path: string, { folder, storage, limits, signal }: Unpacking): Promise<string> {
  const target = join(folder, 'disk');
  await rm(target, { force: true });
  await using source = await open(path, 'r');
  const disk = await findDisk(imageBytes(source, (await source.stat()).size));
  const room = await writable(storage, limits);
  if (disk.sizeBytes > room.bytes) throw room.exceeded();
  await using output = await open(target, 'wx', 0o600);
  const hash = createHash(disk.checksum?.algorithm ?? 'sha256');
  const buffer = Buffer.alloc(copyBytes);
  for (let done = 0; done < disk.sizeBytes; ) {
    signal?.throwIfAborted();
    const wanted = Math.min(copyBytes, disk.sizeBytes - done);
    const { bytesRead } = await source.read(buffer, 0, wanted, disk.offsetBytes + done);
    if (bytesRead === 0) throw refuseImage('was cut short', fetchAgain);
    hash.update(buffer.subarray(0, bytesRead));
    await output.write(buffer, 0, bytesRead);
    done += bytesRead;
  }
  if (disk.checksum && hash.digest('hex') !== disk.checksum.value) {
    throw refuseImage('has another disk than its manifest says', fetchAgain);
  }
  return target;
}

/** How much a program may write: what an image may have, and what the storage has. */
export async function writable(storage: Storage, { maximumFileBytes }: Pick<ImageLimits, 'maximumFileBytes'>) {
  const { freeBytes } = await storageSpace(storage);
  const room = Math.max(0, freeBytes - reserveBytes);
  const isShort = room < maximumFileBytes;
  return {
    bytes: Math.min(room, maximumFileBytes),
    exceeded: () =>
      isShort
        ? storageFull(storage, freeBytes)
        : refuseImage(`unpacks to more than ${maximumFileBytes} bytes`, 'Ask an administrator to take larger ones.'),
  };
}

export const sizeOf = async (path: string): Promise<number> => (await stat(path)).size;
