// The definition of a domain as libvirt had it when we wrote it last, and of an adopted one also as it came: files in the
// instance's folder. What the domain is defined as later is compared with it, and a definition that is gone comes back from
// it. Passwords of consoles are in it, so only root reads it.
import { access, readFile, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { writeFileDurably } from '../../durable-file.ts';
import type { AgentContext } from '../agent-context.ts';
import { folderPath } from '../instances/instance-folder.ts';
import type { Storage } from '../storage.ts';

const mode = 0o600;

/** Written whenever we have written the definition. */
export const definitionPath = (storage: Storage, id: InstanceId): string =>
  join(folderPath(storage, id), 'definition.xml');
const originalPath = (storage: Storage, id: InstanceId): string => join(folderPath(storage, id), 'original.xml');

/** The definition as libvirt has it now, with secrets. */
export function readDefinition({ domains }: Connection, ref: DomainRef): Promise<string> {
  return domains.xml(ref, { inactive: true, secure: true });
}

/** What libvirt made of a definition that we wrote. */
export type WrittenDefinition = { xml: string; version: string; at: Date };

export type DefinitionWriting = {
  /** To be told as soon as the definition is as we write it. */
  onWritten: (ref: DomainRef) => Promise<void>;
};

/**
 * To be called, with the lock of the instance, as soon as a definition has been written: what somebody makes of it from then on
 * is a change of theirs.
 */
export async function readWritten(context: AgentContext, ref: DomainRef): Promise<WrittenDefinition> {
  const at = new Date();
  const [xml, version] = await readNow(context, ref);
  return { xml, version, at };
}

/**
 * To be called, with the lock of the instance, after each change of ours to the definition of its domain. On a storage that is
 * full nothing is remembered, which must keep nobody from stopping a guest: the definition has a newer generation than the one
 * that is remembered, by which it is known as ours until it can be written down.
 */
export async function rememberDefinition(
  context: AgentContext,
  id: InstanceId,
  { xml, version, at }: WrittenDefinition,
): Promise<void> {
  const path = definitionPath(context.storage, id);
  try {
    await writeFileDurably(path, `${versionLine(version)}\n${xml}`, mode);
    // A file of libvirt's that is newer has something else in it.
    await utimes(path, at, at);
  } catch (error) {
    // Of one that somebody has brought from another host there is no folder yet: what we write of it is remembered.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    if (!isStorageFull(error)) throw error;
    context.log.warn({ err: error, instance: id }, 'the definition could not be remembered');
  }
}

/** How the domain of an adopted instance was defined when it came. What is known already stays. */
export async function rememberOriginal(context: AgentContext, id: InstanceId, ref: DomainRef): Promise<void> {
  const path = originalPath(context.storage, id);
  const isKnown = await access(path).then(
    () => true,
    () => false,
  );
  if (isKnown) return;
  const [xml] = await readNow(context, ref);
  await writeFileDurably(path, xml, mode);
}

export const originalDefinition = (storage: Storage, id: InstanceId): Promise<string | undefined> =>
  readIfThere(originalPath(storage, id));

/** Undefined when none was remembered, or by another version of libvirt, which may say the same in other words. */
export async function rememberedDefinition(context: AgentContext, id: InstanceId): Promise<string | undefined> {
  const text = await readIfThere(definitionPath(context.storage, id));
  if (text === undefined) return undefined;
  const version = await context.hypervisor.ask('read the version of libvirt', libvirtVersion);
  return text.startsWith(`${versionLine(version)}\n`) ? withoutVersion(text) : undefined;
}

/** Whatever libvirt wrote it. */
export async function lastDefinition(storage: Storage, id: InstanceId): Promise<string | undefined> {
  const text = await readIfThere(definitionPath(storage, id));
  return text === undefined ? undefined : withoutVersion(text);
}

const isStorageFull = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');

const versionLine = (version: string): string => `<!-- as libvirt ${version} writes it -->`;
const withoutVersion = (text: string): string => text.slice(text.indexOf('\n') + 1);

function readNow(context: AgentContext, ref: DomainRef): Promise<[xml: string, version: string]> {
  return context.hypervisor.ask(`read the definition of ${ref.name}`, (connection) =>
    Promise.all([readDefinition(connection, ref), libvirtVersion(connection)]),
  );
}

async function libvirtVersion({ node }: Connection): Promise<string> {
  const { major, minor, release } = await node.version();
  return `${major}.${minor}.${release}`;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
