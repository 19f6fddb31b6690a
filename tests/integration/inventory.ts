// All that a cloud has, wherever it is: rows, files, domains, networks and their leases. Read from where it lies, so that it
// can be taken while libvirtd or the server is away. Two of these are equal when nothing came to be in between.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WholeCloud } from './whole-cloud.ts';

export type Inventory = Record<string, string[]>;

/** Definitions, state of what runs, and the leases that dnsmasq hands out. */
const libvirtFolders = ['/etc/libvirt/qemu', '/run/libvirt/qemu', '/var/lib/libvirt/dnsmasq'];
const libvirtFiles = /\.(xml|hostsfile)$/;

/** @param storage the folder of images and disks; default that of the state folder */
export async function takeInventory(
  { store: { db }, folders }: WholeCloud,
  storage = join(folders.state, 'storage'),
): Promise<Inventory> {
  const [hosts, instances, volumes, nics, images, networks, addresses, keyPairs, types, open] = await Promise.all([
    db.selectFrom('hosts').select(['name', 'allocated_vcpus', 'allocated_memory_mib']).execute(),
    db.selectFrom('instances').select(['id', 'name']).execute(),
    db.selectFrom('volumes').select(['id', 'name']).execute(),
    db.selectFrom('nics').select(['id', 'address']).execute(),
    db.selectFrom('images').select(['id', 'name']).execute(),
    db.selectFrom('networks').select(['id', 'name']).execute(),
    db.selectFrom('addresses').select(['network_id', 'address']).where('nic_id', 'is not', null).execute(),
    db.selectFrom('key_pairs').select(['id', 'name']).execute(),
    db.selectFrom('instance_types').select(['name']).execute(),
    db.selectFrom('operations').select(['id', 'kind']).where('finished_at', 'is', null).execute(),
  ]);
  const rows = { hosts, instances, volumes, nics, images, networks, addresses, keyPairs, types, open };
  return {
    ...Object.fromEntries(Object.entries(rows).map(([name, found]) => [name, found.map(asText).sort()])),
    files: filesBelow(storage),
    libvirt: libvirtFolders.flatMap((folder) =>
      filesBelow(folder)
        .filter((path) => libvirtFiles.test(path))
        .flatMap((path) => [path, ...leasesIn(path)]),
    ),
  };
}

const asText = (row: object) => Object.values(row).join(' ');

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return paths.map((path) => join(folder, path)).sort();
}

/** Lines of a network's definition, or of the file of dnsmasq, that give an address to a card. */
function leasesIn(path: string): string[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  if (path.endsWith('.hostsfile')) return lines.filter((line) => line !== '').map((line) => `${path}: ${line}`);
  return lines.filter((line) => line.includes('<host ')).map((line) => `${path}: ${line.trim()}`);
}
