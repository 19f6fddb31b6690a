// The definition of a domain as libvirt had it when we, or whoever it was adopted from, last wrote it: a file in the
// instance's folder. What the domain is defined as later is compared with it, and a definition that is gone comes back from
// it. Passwords of consoles are in it, so only root reads it.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceId } from '@virga/contract/ids';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { DomainRef } from '@virga/libvirt/protocol/objects';
import { writeFileDurably } from '../../durable-file.ts';
import type { AgentContext } from '../agent-context.ts';
import type { Storage } from '../storage.ts';
import { folderPath } from './instance-folder.ts';

const mode = 0o600;

const pathOf = (storage: Storage, id: InstanceId): string => join(folderPath(storage, id), 'definition.xml');

/** The definition as libvirt has it now. */
export function readDefinition({ domains }: Connection, ref: DomainRef): Promise<string> {
  return domains.xml(ref, { inactive: true, secure: true });
}

/** To be called after each change of ours to the definition of a domain. @returns the definition */
export async function rememberDefinition(context: AgentContext, id: InstanceId, ref: DomainRef): Promise<string> {
  const xml = await context.hypervisor.ask(`read the definition of ${ref.name}`, (connection) =>
    readDefinition(connection, ref),
  );
  await writeFileDurably(pathOf(context.storage, id), xml, mode);
  return xml;
}

/** Undefined when none was remembered. */
export async function rememberedDefinition(storage: Storage, id: InstanceId): Promise<string | undefined> {
  try {
    return await readFile(pathOf(storage, id), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
