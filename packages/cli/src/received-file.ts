// Where a file goes that is fetched from elsewhere piece by piece, so that its size does not matter: to a stream as it is, byte for byte,
// or to a file of this machine, which appears whole or not at all.
import { randomBytes } from 'node:crypto';
import { chmod, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';

export type ReceivingEnd = { path: string } | { stream: Writable };
export type Received = { path: string; sizeBytes: number };

const permissionBits = 0o777;

/** @param name of the file where it is from: a folder gets it under that name. @param mode default that of any new file */
export async function receiveFile(
  end: ReceivingEnd,
  name: string,
  pieces: AsyncIterable<Buffer>,
  mode?: number | null,
): Promise<Received> {
  let sizeBytes = 0;
  const receive = async (to: (bytes: Buffer) => Promise<unknown>) => {
    for await (const bytes of pieces) {
      await to(bytes);
      sizeBytes += bytes.length;
    }
  };
  if ('stream' in end) {
    await receive((bytes) => written(end.stream, bytes));
    return { path: '-', sizeBytes };
  }
  const path = (await isFolder(end.path)) ? join(end.path, basename(name)) : end.path;
  const partial = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.partial`);
  try {
    await using handle = await open(partial, 'wx', 0o600);
    await receive((bytes) => handle.write(bytes));
    await handle.sync();
    await chmod(partial, mode == null ? 0o666 & ~process.umask() : mode & permissionBits);
    await rename(partial, path);
    return { path, sizeBytes };
  } finally {
    await rm(partial, { force: true });
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

const written = (stream: Writable, bytes: Buffer) =>
  new Promise<void>((resolve, reject) => stream.write(bytes, (error) => (error ? reject(error) : resolve())));
