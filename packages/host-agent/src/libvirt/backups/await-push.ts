// Waits until QEMU has pushed the disks of a backup. Tells how far it is, and gives it up when the storage runs out of room,
// because a guest must not wait for a backup. Asks libvirt now and then; owns nothing.
import type { CallContext } from '@virga/contract/agent/agent';
import { VirgaError } from '@virga/contract/errors';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { storageFull, storageSpace } from '../storage.ts';

const firstWaitMs = 20;
const longestWaitMs = 1000;
/** Reading that does not get on is given up: a guest that was frozen by its disk would not get on either. */
const stallMs = 10 * 60_000;
/** After that libvirt has been asked to end it. */
const endMs = 60_000;
/** With less than this the guest's own writes might find no room. */
const leastFreeBytes = 16 * 1024 * 1024;

/** @throws StorageFull | HypervisorRefused it failed | the reason of the signal; then it goes on until it is given up */
export async function awaitPush(
  context: AgentContext,
  ref: DomainRef,
  { signal, onProgress }: CallContext,
): Promise<void> {
  const ask = <T>(work: (connection: Connection) => Promise<T>) =>
    context.hypervisor.ask(`look at the backup of ${ref.name}`, work);
  let seen = { done: -1, at: context.clock.now() };
  for (let waitMs = firstWaitMs; ; waitMs = Math.min(longestWaitMs, waitMs * 2)) {
    signal?.throwIfAborted();
    const job = await ask(({ domains }) => domains.jobStats(ref));
    if (job.type === 'none' && !(await ask((connection) => hasBackup(connection, ref)))) break;
    const { disk_processed: done = 0, disk_total: total = 0 } = job.parameters;
    if (Number(done) !== seen.done) seen = { done: Number(done), at: context.clock.now() };
    else if (context.clock.now() - seen.at > stallMs) throw stalled(ref);
    if (Number(total) > 0) onProgress?.('reading the disks', Math.floor((Number(done) / Number(total)) * 100));
    const { freeBytes } = await storageSpace(context.storage);
    if (freeBytes < leastFreeBytes) throw storageFull(context.storage, freeBytes);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
  const { type, parameters } = await ask(({ domains }) => domains.jobStats(ref, { completed: true }));
  if (type === 'completed' && parameters.success !== false) return;
  throw new VirgaError('HypervisorRefused', {
    detail: `QEMU could not read the disks of ${ref.name}${parameters.errmsg ? `: ${parameters.errmsg}` : '.'}`,
    action: 'See /var/log/libvirt/qemu on the host, and whether the disks of the instance are sound.',
  });
}

/** @throws HostUnavailable it does not end */
export async function untilPushEnded(connection: Connection, ref: DomainRef): Promise<void> {
  const deadlineMs = performance.now() + endMs;
  while (await hasBackup(connection, ref)) {
    if (performance.now() > deadlineMs) throw doesNotEnd(ref);
    await new Promise((resolve) => setTimeout(resolve, firstWaitMs));
  }
}

const stalled = ({ name }: DomainRef) =>
  new VirgaError('HypervisorRefused', {
    detail: `Nothing of the disks of ${name} was read for ${stallMs / 60_000} minutes.`,
    action: 'See whether its disks and the storage of the host answer, and back up again.',
  });

const doesNotEnd = ({ name }: DomainRef) =>
  new VirgaError('HostUnavailable', {
    detail: `The backup job of ${name} was given up, and does not end.`,
    action: 'See whether its disks and the storage of the host answer: virsh domjobinfo. It is tried again.',
  });

/** A backup of it is under way, ours or somebody else's. */
export const hasBackup = ({ domains }: Connection, ref: DomainRef): Promise<boolean> =>
  domains.backupXml(ref).then(
    () => true,
    (error) => {
      if (isLibvirtError(error, 'NO_DOMAIN_BACKUP', 'OPERATION_INVALID', 'NO_DOMAIN')) return false;
      throw error;
    },
  );
