// Grows the disk of an instance, in the running guest or as a file. A disk never shrinks, so what is large enough is left
// alone, and a call may be repeated.
import { open } from 'node:fs/promises';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { runCommand } from '../../run-command.ts';
import type { AgentContext } from '../agent-context.ts';
import { activeFile } from '../disks/disk-layers.ts';
import type { OwnDomain } from './domain-lookup.ts';
import { instanceFiles } from './instance-folder.ts';

/** Of the qcow2 header, big-endian. */
const virtualSizeOffset = 24;
export const rootDiskTarget = 'vda';

/** The guest sees the new size at once. */
export async function growRunningDisk(
  context: AgentContext,
  { id, rootDisk }: DesiredInstance,
  ref: OwnDomain['ref'],
): Promise<void> {
  const { capacityBytes } = await context.hypervisor.ask(`look at the disk of ${ref.name}`, ({ domains }) =>
    domains.blockInfo(ref, rootDiskTarget),
  );
  if (capacityBytes >= rootDisk.sizeBytes) return;
  await context.hook('grow-disk', id);
  await context.hypervisor.act(`grow the disk of ${ref.name}`, ({ domains }) =>
    domains.blockResize(ref, rootDiskTarget, rootDisk.sizeBytes),
  );
}

/** Of an instance that is off. A disk that is missing is somebody else's to report. @throws CommandFailed */
export async function growDiskFile(
  { storage, hook }: AgentContext,
  { id, rootDisk }: DesiredInstance,
  signal: AbortSignal | undefined,
): Promise<void> {
  const path = await activeFile(instanceFiles(storage, id).rootDisk);
  const presentBytes = await virtualSize(path);
  if (presentBytes === undefined || presentBytes >= rootDisk.sizeBytes) return;
  await hook('grow-disk', id);
  const args = ['resize', '-q', '-f', 'qcow2', path, String(rootDisk.sizeBytes)];
  await runCommand('qemu-img', args, { signal, package: 'qemu-utils' });
}

async function virtualSize(path: string): Promise<number | undefined> {
  try {
    await using file = await open(path);
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, virtualSizeOffset);
    return Number(buffer.readBigUInt64BE());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
