// Copies an image from an open file and hashes it on the way. Owns how: shared blocks where the file system can, else with
// holes where the source has zeros. Fails with the error of the system call; the caller removes what was made.
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, type FileHandle, open } from 'node:fs/promises';

const chunkBytes = 4 * 1024 * 1024;
const holeBytes = 64 * 1024;
const zeros = Buffer.alloc(holeBytes);

export type CopyOptions = {
  sizeBytes: number;
  onProgress: (copiedBytes: number) => void;
  signal: AbortSignal | undefined;
};

/** @returns the SHA-256 of the content, in hexadecimal */
export async function copyImage(source: FileHandle, destination: string, options: CopyOptions): Promise<string> {
  const isShared = await shareBlocks(source, destination);
  await using target = await open(destination, isShared ? 'r' : 'wx');
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(chunkBytes);
  // Up to the size that was looked at: a source that grows meanwhile is not followed.
  for (let offset = 0; offset < options.sizeBytes; ) {
    options.signal?.throwIfAborted();
    const wanted = Math.min(chunkBytes, options.sizeBytes - offset);
    const { bytesRead } = await (isShared ? target : source).read(buffer, 0, wanted, offset);
    if (bytesRead === 0) throw new SourceShrank();
    const chunk = buffer.subarray(0, bytesRead);
    hash.update(chunk);
    if (!isShared) await writeSparsely(target, chunk, offset);
    offset += bytesRead;
    options.onProgress(offset);
  }
  if (!isShared) await target.truncate(options.sizeBytes);
  return hash.digest('hex');
}

/** The source became shorter while it was read. */
export class SourceShrank extends Error {
  override readonly name = 'SourceShrank';
}

async function shareBlocks(source: FileHandle, destination: string): Promise<boolean> {
  const { COPYFILE_EXCL, COPYFILE_FICLONE_FORCE } = constants;
  try {
    // The open file, not its name: the name may mean another file by now.
    await copyFile(`/proc/self/fd/${source.fd}`, destination, COPYFILE_EXCL | COPYFILE_FICLONE_FORCE);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EINVAL', 'ENOTTY', 'EPERM'].includes(code)) return false;
    throw error;
  }
}

async function writeSparsely(target: FileHandle, chunk: Buffer, offset: number): Promise<void> {
  let from = 0;
  for (let at = 0; at < chunk.length; at += holeBytes) {
    const part = chunk.subarray(at, at + holeBytes);
    if (!part.equals(zeros.subarray(0, part.length))) continue;
    if (at > from) await target.write(chunk, from, at - from, offset + from);
    from = at + part.length;
  }
  if (chunk.length > from) await target.write(chunk, from, chunk.length - from, offset + from);
}
