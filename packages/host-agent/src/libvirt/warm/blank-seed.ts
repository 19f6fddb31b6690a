// The seed disk of a machine that is no instance yet: empty, and of a size that does not change when it gets its content,
// because a running guest has read the size. The content is written in place, where the guest then finds it.
import { open, readFile, rm } from 'node:fs/promises';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { createSeed } from '../instances/seed-image.ts';

/** An ISO 9660 image of three small files has some 400 KiB; user data is limited. */
const seedBytes = 1024 * 1024;
const seedMode = 0o600;

export async function makeBlankSeed(path: string): Promise<void> {
  await rm(path, { force: true });
  await using file = await open(path, 'wx', seedMode);
  await file.truncate(seedBytes);
}

/** @throws RangeError the seed is larger than the disk */
export async function fillSeed(path: string, desired: DesiredInstance, signal: AbortSignal | undefined): Promise<void> {
  const made = `${path}.made`;
  try {
    await createSeed(made, desired, { signal });
    const content = await readFile(made);
    if (content.length > seedBytes) throw new RangeError('the seed is too large for a machine that runs already');
    await using file = await open(path, 'r+');
    await file.write(content, 0, content.length, 0);
    await file.sync();
  } finally {
    await rm(made, { force: true });
  }
}
