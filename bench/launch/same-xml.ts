// The peer of a launch: a domain of the same XML, made by libvirt alone. Its disk and seed are there before the clock runs.
import { randomUUID } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { command } from './cloud.ts';

export type Twin = { xml: string };

/** Copies what a domain is made of, so that twins of it can be made after it is gone. */
export async function copyDomain(connection: Connection, domain: DomainRef, folder: string): Promise<Twin> {
  mkdirSync(folder, { recursive: true });
  // QEMU runs as a user of its own.
  chmodSync(folder, 0o711);
  let xml = await connection.domains.xml(domain, { inactive: true, secure: true });
  const files = [...xml.matchAll(/<source file='([^']+)'/g)].map((match) => match[1]!);
  const [disk, seed] = [files[0], files.find((file) => file.endsWith('.iso'))];
  if (!disk || !seed) throw new Error(`a disk and a seed were looked for in ${xml}`);
  const { 'full-backing-filename': base } = JSON.parse(command('qemu-img', 'info', '-U', '--output=json', disk));
  command('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', join(folder, 'disk'));
  copyFileSync(seed, join(folder, 'seed'));
  xml = xml.replaceAll(disk, join(folder, 'disk')).replaceAll(seed, join(folder, 'seed'));
  xml = xml.replace(/<log file='[^']+'/, `<log file='${join(folder, 'console')}'`);
  return { xml: xml.replace(/<name>[^<]+</, '<name>bench-twin<').replace(/<metadata>[\s\S]*?<\/metadata>/, '') };
}

/** Defines and starts a twin. */
export async function createTwin(connection: Connection, { xml }: Twin): Promise<DomainRef> {
  const twin = xml
    .replace(/<uuid>[^<]+</, `<uuid>${randomUUID()}<`)
    .replace(/<mac address='[^']+'/, "<mac address='52:54:00:be:0c:01'");
  return connection.domains.create(await connection.domains.defineXml(twin));
}

export async function removeTwin(connection: Connection, twin: DomainRef): Promise<void> {
  await connection.domains.destroy(twin);
  await connection.domains.undefine(twin);
}
