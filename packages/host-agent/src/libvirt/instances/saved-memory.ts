// The memory of a guest on the host's disk: saving it, going on from it, giving it up. libvirt keeps the file and removes it
// once a guest goes on from it. A guest whose memory could not be saved goes on as if nothing had been.
import { statfs } from 'node:fs/promises';
import type { DesiredInstance } from '@virga/contract/agent/desired';
import { VirgaError } from '@virga/contract/errors';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError, tolerate } from '../hypervisor-errors.ts';
import type { OwnDomain } from './domain-lookup.ts';

type Ref = OwnDomain['ref'];

/** What a file has beside the guest's memory: devices, screen, and room for others to work. */
const overheadBytes = 64 * 1024 * 1024;
const bytesPerKib = 1024;

/**
 * Saves the memory of a guest and ends it.
 * @throws StorageFull there is no room for it; the guest runs on
 */
export async function hibernate(context: AgentContext, desired: DesiredInstance, ref: Ref): Promise<void> {
  await requireRoom(context, desired, ref);
  await context.hook('hibernate', desired.id);
  context.shutdowns.forget(desired.id);
  // What it is after it was woken is said then: a paused one does not stay so because it was when it was saved.
  await context.hypervisor.act(`hibernate ${ref.name}`, ({ domains }) =>
    tolerate(domains.managedSave(ref, { running: true }), 'OPERATION_INVALID', 'NO_DOMAIN'),
  );
}

/** Gives saved memory up: the next start boots from the disk. */
export async function discardSavedMemory(context: AgentContext, desired: DesiredInstance, ref: Ref): Promise<void> {
  await context.hook('discard-memory', desired.id);
  await context.hypervisor.act(`discard the saved memory of ${ref.name}`, async ({ domains }) => {
    try {
      await domains.removeManagedSave(ref);
    } catch (error) {
      // Somebody was faster.
      if (!isLibvirtError(error, 'OPERATION_INVALID') || (await domains.hasManagedSave(ref))) throw error;
    }
  });
}

/**
 * libvirt boots a guest whose file is cut short as if that was all right, and refuses another again and again.
 * @throws SavedMemoryUnusable it is no file of a saved guest; it has been discarded
 */
export async function requireSavedMemory(context: AgentContext, desired: DesiredInstance, ref: Ref): Promise<void> {
  const fault = await context.hypervisor.ask(`read the saved memory of ${ref.name}`, async ({ domains }) => {
    try {
      await domains.managedSaveXml(ref);
      return undefined;
    } catch (error) {
      if (isLibvirtError(error, 'OPERATION_FAILED', 'INTERNAL_ERROR', 'XML_ERROR', 'SYSTEM_ERROR')) return { error };
      throw error;
    }
  });
  if (fault === undefined) return;
  await discardSavedMemory(context, desired, ref);
  throw new VirgaError('SavedMemoryUnusable', {
    detail: `The saved memory of ${desired.name} cannot be read, so it is off now and not hibernated.`,
    action: 'Start it: it boots from its disk, as after a loss of power.',
    cause: fault.error,
  });
}

/** By what the guest has in the host's memory, since what it never touched takes no room in the file. */
async function requireRoom(context: AgentContext, desired: DesiredInstance, ref: Ref): Promise<void> {
  const [measured] = await context.hypervisor.ask(`measure ${ref.name}`, ({ domains }) =>
    domains.stats({ groups: ['balloon'], domains: [ref], noWait: true }),
  );
  const current = Number(measured?.parameters['balloon.current'] ?? desired.memoryMib * bytesPerKib);
  const resident = Number(measured?.parameters['balloon.rss'] ?? current);
  const neededBytes = Math.min(current, resident) * bytesPerKib + overheadBytes;
  const { bavail, bsize } = await statfs(context.savedMemoryPath);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes) return;
  throw new VirgaError('StorageFull', {
    detail: `The memory of ${desired.name} takes up to ${mebibytes(neededBytes)}; ${mebibytes(freeBytes)} are free in ${context.savedMemoryPath} on the host.`,
    action: 'Make room there, or stop the instance instead.',
  });
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MiB`;
