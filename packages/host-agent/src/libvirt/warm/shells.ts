// Shells: copies of a template that wait, paused and without a network card, to become an instance. Each has the id, the UUID
// and the folder of that instance from the beginning, so that nothing has to be moved when it does. Owns making and removing
// them; a shell is a transient domain, which a restart of the host takes with it.
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredShell, ObservedShell, ShellIdentity } from '@virga/contract/agent/warm';
import { VirgaError } from '@virga/contract/errors';
import { isId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import type { AgentContext } from '../agent-context.ts';
import { otherOwner } from '../host/guest-owner.ts';
import { hostChoices } from '../host/host-choices.ts';
import { isInterruption, tolerate } from '../hypervisor-errors.ts';
import { requireStoredImage } from '../images/image-store.ts';
import { undefine } from '../instances/domain-definition.ts';
import { findByUuid } from '../instances/domain-lookup.ts';
import { createFolder, instanceFiles, readOwner, removeFolder } from '../instances/instance-folder.ts';
import { makeDisk } from '../instances/root-disk.ts';
import { requireSpace, smallestSpaceBytes, storageError } from '../storage.ts';
import { makeBlankSeed } from './blank-seed.ts';
import { loadState } from './memory-stream.ts';
import { readShellRecord, type ShellRecord, shellElement, writeShellRecord } from './shell-record.ts';
import { machineOf, machineXml, shapeOf } from './template-shape.ts';
import { hasMemory, readTemplate, templateDisk, templateFiles, templateMissing } from './template-store.ts';

export type FoundShell = { ref: DomainRef; record: ShellRecord };

export function applyShell(context: AgentContext, desired: DesiredShell, call: CallContext): Promise<ObservedShell> {
  return context.locks.run(desired.id, async () => {
    const found = await findShell(context, desired);
    const isThere = found?.record.phase === 'waiting' && found.record.templateId === desired.templateId;
    if (!isThere) await makeShell(context, desired, call);
    return { ...desired, isReady: true };
  });
}

/** The caller holds the lock of the instance. */
export async function makeShell(context: AgentContext, desired: DesiredShell, { signal }: CallContext): Promise<void> {
  const { storage, hook } = context;
  const present = await readOwner(storage, desired.id);
  if (present !== undefined && !present.shell) throw taken(desired);
  await discardShell(context, desired);
  try {
    const { id, cloudId, uuid, domainName, templateId } = desired;
    // Whoever removes the template takes the same lock, and then finds the folder that rests on it.
    const { template, image } = await context.locks.run(templateId, async () => {
      const record = await readTemplate(storage, templateId);
      if (record?.cloudId !== cloudId || !(await hasMemory(storage, templateId))) throw templateMissing(templateId);
      if (record.shape !== (await shapeOf(context, record))) throw templateMissing(templateId);
      const base = await requireStoredImage(storage, cloudId, record.imageId);
      await requireSpace(storage, smallestSpaceBytes);
      await hook('shell-folder', id);
      await createFolder(storage, { id, cloudId, uuid, domainName, imageId: record.imageId, templateId, shell: true });
      return { template: record, image: await templateDisk(storage, { id: templateId, cloudId }, base) };
    });
    const files = instanceFiles(storage, id);
    await hook('shell-files', id);
    await Promise.all([makeDisk(files.rootDisk, image, template.diskBytes, { signal }), makeBlankSeed(files.seed)]);
    const source = templateFiles(storage, templateId);
    const says = { cloudId, templateId, instanceId: id };
    const element = shellElement({ ...says, phase: 'loading' });
    const warm = { memoryFile: source.memory, isCopy: true, genId: randomUUID() };
    const xml = machineXml(
      machineOf(template, desired),
      element,
      { ...files, image },
      await hostChoices(context),
      warm,
    );
    await hook('shell-start', id);
    signal?.throwIfAborted();
    const ref = await context.hypervisor.act(`start ${domainName}`, ({ domains }) =>
      domains.createXml(xml, { paused: true }),
    );
    await hook('shell-load', id);
    const owner = await otherOwner(context.hypervisor);
    await context.hypervisor.reach(`load ${domainName}`, (connection) =>
      loadState(connection, ref, { file: source.state, owner }),
    );
    await context.hypervisor.act(`tell that ${domainName} waits`, (connection) =>
      writeShellRecord(connection, ref, { ...says, phase: 'waiting' }),
    );
  } catch (error) {
    if (!signal?.aborted && !isInterruption(error)) await discardShell(context, desired);
    throw shellError(error, context);
  }
}

export function deleteShell(context: AgentContext, shell: ShellIdentity): Promise<void> {
  return context.locks.run(shell.id, async () => {
    const owner = await readOwner(context.storage, shell.id);
    if (owner?.cloudId !== shell.cloudId || !owner.shell) return;
    await context.hook('delete-shell', shell.id);
    await discardShell(context, shell);
  });
}

/** Removes all of a shell, also of one that was on its way to become an instance. An instance is not touched. */
export async function discardShell(context: AgentContext, shell: ShellIdentity): Promise<void> {
  const found = await findShell(context, shell);
  if (found !== undefined) {
    await context.hypervisor.act(`end ${found.ref.name}`, ({ domains }) =>
      tolerate(domains.destroy(found.ref), 'OPERATION_INVALID', 'NO_DOMAIN'),
    );
    await undefine(context, found.ref);
  }
  const owner = await readOwner(context.storage, shell.id);
  if (owner === undefined || owner.cloudId === shell.cloudId) await removeFolder(context.storage, shell);
}

/** The domain of a shell, by its UUID; undefined when there is none, or it has become an instance. */
export function findShell(
  context: AgentContext,
  { id, uuid, cloudId }: ShellIdentity,
): Promise<FoundShell | undefined> {
  return context.hypervisor.ask('look for a shell', async (connection: Connection) => {
    const ref = await findByUuid(connection, uuid);
    const record = ref && (await readShellRecord(connection, ref));
    return ref && record?.instanceId === id && record.cloudId === cloudId ? { ref, record } : undefined;
  });
}

export async function listShells(context: AgentContext, cloudId: string): Promise<ObservedShell[]> {
  const names = (await readdir(context.storage.instancesPath)).filter((name) => isId('instance', name));
  const owners = await Promise.all(names.map((id) => readOwner(context.storage, id as ObservedShell['id'])));
  const shells = await Promise.all(
    owners.map(async (owner) => {
      if (owner?.cloudId !== cloudId || !owner.shell || owner.templateId === undefined) return undefined;
      const { id, templateId, domainName, uuid } = owner;
      const isReady = (await findShell(context, owner))?.record.phase === 'waiting';
      return { id, cloudId, templateId, domainName, uuid, isReady };
    }),
  );
  return shells.filter((shell) => shell !== undefined);
}

function shellError(error: unknown, { storage }: AgentContext): unknown {
  const known = storageError(error, storage, 'prepare a copy');
  if (known instanceof VirgaError || isInterruption(known)) return known;
  if (known instanceof Error && known.name === 'AbortError') return known;
  return new VirgaError('HypervisorRefused', {
    detail: `The host could not prepare a copy: ${known instanceof Error ? known.message : known}.`,
    action: 'See the log of the host agent. Launches begin cold meanwhile.',
    cause: error,
  });
}

const taken = ({ id }: DesiredShell) =>
  new VirgaError('Conflict', { detail: `There is an instance ${id} already.`, action: 'Use another id.' });
