// Templates on the host: made, looked at, removed. Making one is a boot without a network card, which ends with the guest
// standing still for ever: whatever a crash leaves of that is removed by the next call, by UUID and by folder.
import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CallContext } from '@virga/contract/agent/agent';
import type { DesiredTemplate, ObservedTemplate } from '@virga/contract/agent/warm';
import { VirgaError } from '@virga/contract/errors';
import type { TemplateId } from '@virga/contract/ids';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { flushFolder, writeFileDurably } from '../../durable-file.ts';
import type { AgentContext } from '../agent-context.ts';
import { hostArchitecture } from '../host/architecture.ts';
import { type GuestOwner, otherOwner } from '../host/guest-owner.ts';
import { hostChoices } from '../host/host-choices.ts';
import { isInterruption, isLibvirtError, tolerate } from '../hypervisor-errors.ts';
import { requireStoredImage, type StoredImage } from '../images/image-store.ts';
import { findByUuid } from '../instances/domain-lookup.ts';
import { makeDisk } from '../instances/root-disk.ts';
import { requireSpace, reserveBytes, type Storage, storageError } from '../storage.ts';
import { makeBlankSeed } from './blank-seed.ts';
import { prepareToBeCopied } from './fork-identity.ts';
import { saveState } from './memory-stream.ts';
import { readShellRecord, shellElement } from './shell-record.ts';
import { machineOf, machineXml, shapeOf } from './template-shape.ts';
import {
  filesIn,
  findClonesOfTemplate,
  hasMemory,
  listTemplateRecords,
  listUnfinishedTemplates,
  readTemplate,
  removeMemory,
  type TemplateFiles,
  type TemplateRecord,
  templateFolder,
  unfinishedTemplate,
} from './template-store.ts';

const mebibyte = 1024 ** 2;
const folderMode = 0o711;

export function applyTemplate(
  context: AgentContext,
  desired: DesiredTemplate,
  call: CallContext,
): Promise<ObservedTemplate> {
  return context.locks.run(desired.id, async () => {
    const { storage } = context;
    if (hostArchitecture() !== 'x86_64') throw otherArchitecture();
    const shape = await shapeOf(context, desired);
    const present = await readTemplate(storage, desired.id);
    if (present !== undefined) {
      if (present.cloudId !== desired.cloudId) throw notOurs(desired.id);
      return observe(storage, present, shape);
    }
    // An image that something rests on is not deleted, and the folder below is what tells so.
    const image = await context.locks.run(desired.imageId, async () => {
      const found = await requireStoredImage(storage, desired.cloudId, desired.imageId);
      await removeUnfinished(context, desired);
      await requireSpace(storage, desired.memoryMib * mebibyte + reserveBytes);
      await mkdir(unfinishedTemplate(storage, desired), { mode: folderMode });
      await writeFileDurably(filesIn(unfinishedTemplate(storage, desired)).image, desired.imageId, 0o644);
      return found;
    });
    try {
      await make(context, { ...desired, shape }, image, call);
    } catch (error) {
      if (!call.signal?.aborted && !isInterruption(error)) await removeUnfinished(context, desired);
      throw templateError(error, context);
    }
    return observe(storage, { ...desired, shape }, shape);
  });
}

async function make(
  context: AgentContext,
  record: TemplateRecord,
  image: StoredImage,
  { signal, onProgress }: CallContext,
): Promise<void> {
  const { storage, hook, hypervisor } = context;
  const folder = unfinishedTemplate(storage, record);
  const files = filesIn(folder);
  const owner = await otherOwner(hypervisor);
  await hook('template-files', record.id);
  onProgress?.('preparing the disk', 5);
  await makeDisk(files.disk, image, record.diskBytes, { signal });
  await makeBlankSeed(files.seed);
  await makeMemoryFile(files.memory, record.memoryMib, owner);
  await hook('template-start', record.id);
  onProgress?.('booting a guest', 20);
  const ref = await boot(context, record, image, files, folder);
  try {
    await hypervisor.reach(`prepare ${record.domainName}`, async (connection) => {
      await prepareToBeCopied(connection, ref, signal);
      onProgress?.('keeping its memory', 80);
      await hook('template-save', record.id);
      await connection.domains.suspend(ref);
      await saveState(connection, ref, { file: files.state, owner });
    });
  } finally {
    await endDomain(context, record, ref);
  }
  await seal(files, owner);
  await writeFileDurably(files.record, `${JSON.stringify(record)}\n`, 0o644);
  await hook('template-name', record.id);
  await rename(folder, templateFolder(storage, record.id));
  await flushFolder(storage.templatesPath);
  onProgress?.('ready to be copied', 100);
}

async function boot(
  context: AgentContext,
  record: TemplateRecord,
  image: StoredImage,
  files: TemplateFiles,
  folder: string,
): Promise<DomainRef> {
  const { cloudId, uuid, domainName } = record;
  const machine = machineOf(record, { id: 'i-00000000000000000', cloudId, uuid, domainName });
  const place = { rootDisk: files.disk, seed: files.seed, consoleLog: join(folder, 'console.log') };
  const says = shellElement({ cloudId, templateId: record.id, instanceId: null, phase: 'taken' });
  const warm = { memoryFile: files.memory, isCopy: false, genId: randomUUID() };
  const xml = machineXml(machine, says, { ...place, image }, await hostChoices(context), warm);
  return context.hypervisor.act(`start ${domainName}`, ({ domains }) => domains.createXml(xml));
}

/** From now on the files are read only: by the group that guests' QEMUs run as. QEMU opens memory for writing in any case. */
async function seal({ disk, memory, state }: TemplateFiles, owner: GuestOwner | undefined): Promise<void> {
  if (owner !== undefined) {
    await chown(disk, 0, owner.gid);
    await chown(memory, 0, owner.gid);
  }
  await chmod(disk, 0o440);
  await chmod(memory, 0o660);
  for (const path of [memory, disk, state]) {
    await using file = await open(path, 'r');
    await file.sync();
  }
}

async function makeMemoryFile(path: string, memoryMib: number, owner: GuestOwner | undefined): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.truncate(memoryMib * mebibyte);
  if (owner !== undefined) await file.chown(owner.uid, owner.gid);
}

export async function deleteTemplate(
  context: AgentContext,
  template: { id: TemplateId; cloudId: string; uuid: string },
): Promise<void> {
  const { storage, locks, hook } = context;
  return locks.run(template.id, async () => {
    await hook('delete-template', template.id);
    await removeUnfinished(context, { ...template, domainName: template.id });
    const record = await readTemplate(storage, template.id);
    if (record === undefined || record.cloudId !== template.cloudId) return;
    await removeMemory(storage, template.id);
    const clones = await findClonesOfTemplate(storage, template.id);
    if (clones.length > 0) throw inUse(template.id, clones);
    // A removal that is cut short leaves what the next call takes for half made.
    await rename(templateFolder(storage, template.id), unfinishedTemplate(storage, template));
    await hook('delete-template-files', template.id);
    await removeUnfinished(context, { ...template, domainName: template.id });
  });
}

export async function listTemplates(context: AgentContext, cloudId: string): Promise<ObservedTemplate[]> {
  const { storage } = context;
  // In this order, what gets its name meanwhile is listed at least once.
  const unfinished = await listUnfinishedTemplates(storage, cloudId);
  const records = (await listTemplateRecords(storage)).filter((record) => record.cloudId === cloudId);
  const named = await Promise.all(records.map(async (it) => observe(storage, it, await shapeOf(context, it))));
  const others = unfinished.filter((id) => named.every((template) => template.id !== id));
  return [...named, ...others.map((id) => ({ id, cloudId, state: 'unfinished' as const, clones: 0 }))];
}

async function observe(storage: Storage, record: TemplateRecord, shape: string): Promise<ObservedTemplate> {
  const { id, cloudId } = record;
  const isReady = record.shape === shape && (await hasMemory(storage, id));
  return { id, cloudId, state: isReady ? 'ready' : 'stale', clones: (await findClonesOfTemplate(storage, id)).length };
}

/** What an earlier call left half made. */
async function removeUnfinished(
  context: AgentContext,
  template: Pick<DesiredTemplate, 'id' | 'cloudId' | 'uuid' | 'domainName'>,
): Promise<void> {
  const left = await context.hypervisor.ask('look for what is left of a template', async (connection) => {
    const ref = await findByUuid(connection, template.uuid);
    const record = ref && (await readShellRecord(connection, ref));
    return record?.templateId === template.id && record.cloudId === template.cloudId ? ref : undefined;
  });
  if (left !== undefined) await endDomain(context, template, left);
  await rm(unfinishedTemplate(context.storage, template), { recursive: true, force: true });
}

async function endDomain(context: AgentContext, { domainName }: Pick<DesiredTemplate, 'domainName'>, ref: DomainRef) {
  await context.hypervisor.act(`end ${domainName}`, ({ domains }) =>
    tolerate(domains.destroy(ref), 'OPERATION_INVALID', 'NO_DOMAIN'),
  );
}

/** What a guest of an image answers that cannot be copied is for people; what failed besides is the log's. */
function templateError(error: unknown, { storage }: AgentContext): unknown {
  const known = storageError(error, storage, 'make a template');
  if (known instanceof VirgaError || isInterruption(known)) return known;
  if (known instanceof Error && (known as NodeJS.ErrnoException).name === 'AbortError') return known;
  const isGuest = isLibvirtError(known, 'AGENT_UNRESPONSIVE', 'AGENT_UNSYNCED', 'INTERNAL_ERROR');
  const why = known instanceof Error ? known.message : String(known);
  return new VirgaError('HypervisorRefused', {
    detail: `No copy of a running guest could be kept: ${why}.`,
    action: isGuest
      ? 'Use an image that has the QEMU guest agent and /usr/libexec/virga/fork-identity, such as starter.'
      : 'See the log of the host agent. Launches begin cold meanwhile.',
    cause: error,
  });
}

const otherArchitecture = () =>
  new VirgaError('HypervisorRefused', {
    detail: 'Running guests are copied on hosts with x86-64 processors only.',
    action: 'Nothing: launches begin cold.',
  });

const inUse = (id: TemplateId, clones: readonly string[]) =>
  new VirgaError('InUse', {
    detail: `The disks of ${clones.length} instances rest on the template ${id}, such as that of ${clones[0]}.`,
    action: 'Nothing: it goes with the last of them. Its memory is gone already.',
  });

const notOurs = (id: TemplateId) =>
  new VirgaError('Conflict', {
    detail: `The template ${id} on the host belongs to another cloud.`,
    action: 'Make one with another id.',
  });
