// An ISO image that has nothing on it but what says that it is one.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LibvirtCloud } from '../libvirt-cloud.ts';
import { succeeded } from '../prepare-cloud.ts';

const sectorBytes = 2048;

/** Registers an image of kind iso that is called disc. */
export async function registerDisc({ cloud, folder }: LibvirtCloud): Promise<void> {
  const path = join(folder, 'disc.iso');
  const bytes = Buffer.alloc(18 * sectorBytes);
  bytes.write('\x01CD001\x01', 16 * sectorBytes, 'latin1');
  bytes.write('\xffCD001\x01', 17 * sectorBytes, 'latin1');
  writeFileSync(path, bytes, { mode: 0o644 });
  const { operationId } = await cloud.client.registerImage({
    body: { name: 'disc', path, format: 'raw', kind: 'iso' },
  });
  await succeeded(cloud, operationId);
}
