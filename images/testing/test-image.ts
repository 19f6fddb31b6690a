// Finds the image that a test boots: the one that the environment names, or one built for this test. What it makes goes
// with the test.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type ImageFixture = { folder: string; image: string; sshKeyFile: string; publicKey: string };

/** @param environmentVariable names the image file to boot; unset or empty: the recipe is built */
export async function prepareImage(recipe: string, environmentVariable: string): Promise<ImageFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'virga-image-test.'));
  const sshKeyFile = join(folder, 'key');
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'test key', '-f', sshKeyFile]);
  const { stdout } = await run('ssh-keygen', ['-y', '-f', sshKeyFile]);
  let image = process.env[environmentVariable];
  if (!image) {
    image = join(folder, 'image.qcow2');
    await run(join(import.meta.dirname, '..', recipe, 'build'), [image]);
  }
  return { folder, image, sshKeyFile, publicKey: stdout.trim() };
}

export async function removeImage({ folder }: ImageFixture): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
