// A secret for a program that takes it from a file: a file of memory that has lost its name before anything is written into
// it, so that nobody finds it, and nothing of it is left whatever happens.
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** In memory on every Linux. */
const memoryFolder = '/dev/shm';

/** @param work gets a path that can be read as long as it runs */
export async function withSecretFile<T>(secret: string, work: (path: string) => Promise<T>): Promise<T> {
  await using file = await openSecret(secret);
  return await work(`/proc/${process.pid}/fd/${file.fd}`);
}

/** To hand to a program as one of its open files. Who calls it closes it. */
export async function openSecret(secret: string): Promise<FileHandle> {
  const file = await namelessFile();
  try {
    await file.writeFile(secret);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function namelessFile(): Promise<FileHandle> {
  const folder = await mkdtemp(join(memoryFolder, 'virga-secret.'));
  try {
    return await open(join(folder, 'secret'), 'wx+', 0o600);
  } finally {
    await rm(folder, { recursive: true });
  }
}
