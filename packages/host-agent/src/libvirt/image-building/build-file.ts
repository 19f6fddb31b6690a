// The file of an image that was made: its disk as a qcow2 that rests on nothing, and what is recorded of it.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { CallContext } from '@virga/contract/agent/agent';
import { VirgaError } from '@virga/contract/errors';
import type { DiskFile } from '../../disk-contents/raw-disk.ts';
import { runCommand } from '../../run-command.ts';
import { convertDisk } from '../disks/convert-disk.ts';
import { checkHeader } from '../images/image-check.ts';
import { requireSpace, reserveBytes, type Storage } from '../storage.ts';

const measureMs = 600_000;
const chunkBytes = 4 * 1024 * 1024;

/** Progress of the copy is told between `from` and `to` percent. */
export type Share = { from: number; to: number };

const convertMs = 3_600_000;

/** Copies a disk block after block, so that the same disk makes the same file. @throws StorageFull | CommandFailed */
export async function sameQcow2Of(file: DiskFile, to: string, { signal }: CallContext): Promise<void> {
  const args = [
    'convert',
    '-q',
    '-m',
    '1',
    '-f',
    file.format,
    '-O',
    'qcow2',
    '-o',
    'lazy_refcounts=off',
    file.path,
    to,
  ];
  await runCommand('qemu-img', args, { signal, timeoutMs: convertMs });
}

/** Copies a disk that nobody writes to, as fast as it goes. @throws StorageFull | CommandFailed */
export async function qcow2Of(
  storage: Storage,
  file: DiskFile,
  to: string,
  share: Share,
  { onProgress, signal }: CallContext,
): Promise<void> {
  const args = ['measure', '-U', '--output=json', '-O', 'qcow2', '-f', file.format, file.path];
  const measured = JSON.parse(await runCommand('qemu-img', args, { signal, timeoutMs: measureMs }));
  await requireSpace(storage, Number(measured.required) + reserveBytes);
  const tell = (message: string, percent: number) =>
    onProgress?.(message, Math.floor(share.from + ((share.to - share.from) * percent) / 100));
  await convertDisk(file, to, { signal, onProgress: tell });
}

/** What is recorded of an image's file. */
export async function fingerprint(
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ virtualSizeBytes: number; sizeBytes: number; sha256: string }> {
  await using file = await open(path, 'r');
  const { size: sizeBytes } = await file.stat();
  const virtualSizeBytes = await checkHeader(file, { format: 'qcow2' }, sizeBytes);
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(chunkBytes);
  for (let offset = 0; offset < sizeBytes; ) {
    signal?.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, chunkBytes, offset);
    if (bytesRead === 0)
      throw new VirgaError('OperationFailed', { detail: 'The new image became shorter.', action: '' });
    hash.update(buffer.subarray(0, bytesRead));
    offset += bytesRead;
  }
  return { virtualSizeBytes, sizeBytes, sha256: hash.digest('hex') };
}
