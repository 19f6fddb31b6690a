// Checkpoints of a domain: what is recorded of its disks since a backup, so that the next one need only have what has changed.
// Owns those whose name begins with ours. Whoever needs a domain without any, because libvirt takes no snapshot of one that has
// them, drops them here: then the next backup is a full one.
import { basename, dirname } from 'node:path';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { CheckpointRef, DomainRef } from '@virga/libvirt/protocol/objects';
import { runCommand } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError, tolerate } from '../hypervisor-errors.ts';
import { openedWith, qemuImg } from '../pools/disk-files.ts';
import { keyId } from '../pools/pool-driver.ts';
import { passphraseOf } from '../volumes/volume-passphrase.ts';
import { childAt, childrenOf, parseXml } from '../xml.ts';
import { filesOf } from './backed-up-disks.ts';

const prefix = 'virga-';

/** The bitmaps in the disks have the same name. */
export const checkpointName = (backupId: string): string => `${prefix}${backupId}`;

/**
 * Removes every checkpoint of ours, with what has been recorded. Idempotent. Of a domain that is off it is taken out of the
 * files of its disks, so nobody may start it meanwhile: call it under the lock of the instance.
 * @returns how many there were
 */
export function dropCheckpoints(context: AgentContext, ref: DomainRef): Promise<number> {
  return context.hypervisor.act(`drop the checkpoints of ${ref.name}`, async (connection) => {
    const found = await listCheckpoints(connection, ref);
    // The youngest first: what it has recorded would be handed to the one before it.
    for (const checkpoint of found.toReversed()) await removeCheckpoint(context, connection, checkpoint);
    return found.length;
  });
}

/** Ours, the oldest first. */
export async function listCheckpoints({ domains }: Connection, ref: DomainRef): Promise<CheckpointRef[]> {
  const found = await Promise.all(
    (await domains.listCheckpoints(ref))
      .filter(({ name }) => name.startsWith(prefix))
      .map(async (checkpoint) => {
        const xml = await domains.checkpointXml(checkpoint, { noDomain: true });
        return { checkpoint, createdAt: Number(childAt(parseXml(xml), 'creationTime')?.text ?? 0) };
      }),
  );
  return found.sort((a, b) => a.createdAt - b.createdAt).map(({ checkpoint }) => checkpoint);
}

/** Idempotent. What it has recorded goes to the one before it, if there is one. */
export async function removeCheckpoint(
  keys: Keyring,
  { domains }: Connection,
  checkpoint: CheckpointRef,
): Promise<void> {
  const { domain } = checkpoint;
  try {
    if (await domains.isActive(domain)) return await domains.deleteCheckpoint(checkpoint);
  } catch (error) {
    if (isLibvirtError(error, 'NO_DOMAIN', 'NO_DOMAIN_CHECKPOINT')) return;
    // Its bitmap is gone or broken, so there is only libvirt's note of it to remove.
    return tolerate(domains.deleteCheckpoint(checkpoint, { metadataOnly: true }), 'NO_DOMAIN_CHECKPOINT');
  }
  // libvirt does not open the disks of a domain that is off.
  for (const files of await diskFiles({ domains }, domain)) await removeBitmap(keys, files, checkpoint.name);
  await tolerate(domains.deleteCheckpoint(checkpoint, { metadataOnly: true }), 'NO_DOMAIN_CHECKPOINT');
}

type Keyring = Pick<AgentContext, 'storage' | 'passphrases'>;
type DiskFiles = [written: string, ...below: string[]];

async function diskFiles({ domains }: Pick<Connection, 'domains'>, domain: DomainRef): Promise<DiskFiles[]> {
  const devices = childAt(parseXml(await domains.xml(domain, { inactive: true })), 'devices');
  return childrenOf(devices, 'disk').flatMap((disk) => {
    const [file, ...below] = filesOf(disk);
    return file !== undefined && childAt(disk, 'driver')?.attributes.type === 'qcow2' ? [[file, ...below]] : [];
  });
}

type ImageInfo = { 'format-specific'?: { data?: { bitmaps?: { name: string }[] } } };

async function removeBitmap(keys: Keyring, files: DiskFiles, name: string): Promise<void> {
  const [file] = files;
  const output = await runCommand('qemu-img', ['info', '--output=json', '-f', 'qcow2', file], {
    package: 'qemu-utils',
  });
  const { bitmaps = [] } = (JSON.parse(output) as ImageInfo)['format-specific']?.data ?? {};
  if (!bitmaps.some((bitmap) => bitmap.name === name)) return;
  const passphrase = await passphraseOf(keys, basename(dirname(file)));
  const image = passphrase === undefined ? ['-f', 'qcow2', file] : ['--image-opts', openedWith(files, keyId)];
  await qemuImg(['bitmap', '--remove', ...image, name], {}, passphrase);
}
