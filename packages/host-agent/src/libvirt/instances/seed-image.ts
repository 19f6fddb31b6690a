// The seed of an instance: a small ISO 9660 image labelled `cidata`, which cloud-init's NoCloud source and the starter
// image read at boot. Owns its three files and the image from nothing to named. User data may hold secrets: nobody but
// root and QEMU reads the image, and it is in no log.
// @see https://cloudinit.readthedocs.io/en/latest/reference/datasources/nocloud.html
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DesiredInstance, DesiredNic } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import { stringify } from 'yaml';
import { finishFile, partialPath } from '../../durable-file.ts';
import { runCommand } from '../../run-command.ts';

export type SeedFiles = { 'meta-data': string; 'user-data': Buffer; 'network-config': string };

const seedMode = 0o600;
const folderMode = 0o700;
/** cloud-init reads YAML 1.1, where an unquoted MAC of decimal digits is a number to base 60, and a host name `on` is true. */
const yamlOptions = { lineWidth: 0, version: '1.1' } as const;

/** The files in the seed, as a pure function of the instance. */
export function seedFiles({ id, seed, nics }: Pick<DesiredInstance, 'id' | 'seed' | 'nics'>): SeedFiles {
  const metaData = {
    'instance-id': id,
    'local-hostname': seed.hostName,
    // Keys go here rather than into user data, which stays as the user wrote it and may be any kind of script.
    ...(seed.publicKeys.length > 0 ? { 'public-keys': seed.publicKeys } : {}),
  };
  return {
    'meta-data': stringify(metaData, yamlOptions),
    'user-data': seed.userData === null ? Buffer.alloc(0) : Buffer.from(seed.userData, 'base64'),
    'network-config': stringify(networkConfig(nics), yamlOptions),
  };
}

function networkConfig(nics: readonly DesiredNic[]) {
  const ethernets = nics.map((nic, index) => {
    const name = `eth${index}`;
    // The first card has the default route; the others keep to their own networks.
    const overrides = index === 0 ? {} : { 'dhcp4-overrides': { 'use-routes': false, 'use-dns': false } };
    return [name, { match: { macaddress: nic.mac }, 'set-name': name, dhcp4: true, ...overrides }];
  });
  return { version: 2, ethernets: Object.fromEntries(ethernets) };
}

/** Makes the seed image. @throws CommandFailed the program that makes ISO images could not */
export async function createSeed(
  path: string,
  instance: Pick<DesiredInstance, 'id' | 'seed' | 'nics'>,
  { signal, beforeRename }: { signal?: AbortSignal | undefined; beforeRename?: () => void | Promise<void> } = {},
): Promise<void> {
  const folder = join(dirname(path), 'seed.partial');
  const partial = partialPath(path);
  await Promise.all([rm(folder, { recursive: true, force: true }), rm(partial, { force: true })]);
  await mkdir(folder, { mode: folderMode });
  const files = Object.entries(seedFiles(instance));
  await Promise.all(files.map(([name, content]) => writeFile(join(folder, name), content, { mode: seedMode })));
  // The file is made by us, so that it never exists with wider rights.
  await writeFile(partial, '', { mode: seedMode, flag: 'wx' });
  await buildIso(folder, partial, signal);
  await beforeRename?.();
  await finishFile(path, seedMode);
  await rm(folder, { recursive: true, force: true });
}

/** genisoimage is ten times faster, xorriso is what some distributions have left. */
async function buildIso(folder: string, output: string, signal: AbortSignal | undefined): Promise<void> {
  const args = ['-quiet', '-volid', 'cidata', '-joliet', '-rock', '-output', output, folder];
  try {
    await runCommand('genisoimage', args, { signal });
  } catch (error) {
    if (!(error instanceof VirgaError)) throw error;
    await runCommand('xorriso', ['-as', 'mkisofs', ...args], { signal, package: 'genisoimage' });
  }
}
