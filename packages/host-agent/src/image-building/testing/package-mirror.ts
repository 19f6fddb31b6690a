// A mirror of a few packages on this machine, signed with a key of its own, for tests that build images without a network. Owns a
// folder, a key and a server, which end with it.
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ImageRecipe } from '@virga/contract/agent/image-recipe';
import { runCommand } from '../../run-command.ts';

export type PackageMirror = { base: ImageRecipe['base']; close(): Promise<void> };

const suite = 'tiny';
const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

/** @param folder with .deb files: VIRGA_TEST_PACKAGES */
export async function openPackageMirror(folder: string): Promise<PackageMirror> {
  const own = await mkdtemp(join(tmpdir(), 'virga-mirror.'));
  await chmod(own, 0o755);
  const files = new Map<string, Buffer>();
  const entries: string[] = [];
  for (const name of (await readdir(folder)).filter((file) => file.endsWith('.deb')).sort()) {
    const bytes = await readFile(join(folder, name));
    const control = (await runCommand('dpkg-deb', ['--field', join(folder, name)])).trimEnd();
    entries.push(`${control}\nFilename: pool/${name}\nSize: ${bytes.length}\nSHA256: ${sha256(bytes)}\n`);
    files.set(`/pool/${name}`, bytes);
  }
  const packages = Buffer.from(entries.join('\n'));
  files.set(`/dists/${suite}/main/binary-amd64/Packages`, packages);
  const release = [
    ...[
      `Suite: ${suite}`,
      `Codename: ${suite}`,
      'Architectures: amd64',
      'Components: main',
      'Date: Wed, 01 Jan 2025 00:00:00 UTC',
    ],
    ...['SHA256:', ` ${sha256(packages)} ${packages.length} main/binary-amd64/Packages`, ''],
  ].join('\n');
  const keyring = join(own, 'keyring.gpg');
  files.set(`/dists/${suite}/InRelease`, await sign(own, release, keyring));
  const server = createServer(({ url = '' }, response) => {
    const bytes = files.get(decodeURIComponent(url));
    response.writeHead(bytes ? 200 : 404).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    base: { distribution: 'debian', suite, mirror: `http://127.0.0.1:${port}/`, keyring, variant: 'extract' },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await rm(own, { recursive: true, force: true });
    },
  };
}

async function sign(folder: string, text: string, keyring: string): Promise<Buffer> {
  const home = join(folder, 'home');
  await mkdir(home, { mode: 0o700 });
  const gpg = (...args: string[]) =>
    runCommand('gpg', ['--homedir', home, '--batch', '--no-tty', '--quiet', '--passphrase', '', ...args], {
      package: 'gnupg',
    });
  await gpg('--quick-generate-key', 'mirror of a test', 'ed25519', 'sign', '0');
  await gpg('--output', keyring, '--export');
  await chmod(keyring, 0o644);
  const [plain, signed] = [join(folder, 'Release'), join(folder, 'InRelease')];
  await writeFile(plain, text);
  await gpg('--output', signed, '--clearsign', plain);
  await runCommand('gpgconf', ['--homedir', home, '--kill', 'all'], { package: 'gnupg' });
  return readFile(signed);
}
