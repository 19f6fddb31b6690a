// The serial console of an instance: live, as a stream, and what it printed, from the log that virtlogd keeps beside the
// disk. Owns no session: a later opener takes the console from an earlier one, so that a forgotten one locks nobody out.

import { open } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { VirgaError } from '@virga/contract/errors';
import type { InstanceId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { isLibvirtError } from '../hypervisor-errors.ts';
import { instanceFiles } from './instance-folder.ts';
import { requireDomain } from './require-domain.ts';

/** What virtlogd, or Virga in its place, rotated away, newest first. */
const rotatedSuffixes = ['.0', '.1', '.2'];

/** @throws NotFound */
export async function domainXml(context: AgentContext, id: InstanceId): Promise<string> {
  return context.hypervisor.ask(`describe ${id}`, async (connection) =>
    connection.domains.xml(await requireDomain(context, connection, id)),
  );
}

/** @throws NotFound | Conflict it does not run */
export async function openConsole(context: AgentContext, id: InstanceId): Promise<Duplex> {
  return context.hypervisor.act(`open the console of ${id}`, async (connection) => {
    const domain = await requireDomain(context, connection, id);
    try {
      return await connection.domains.openConsole(domain, { force: true });
    } catch (error) {
      if (!isLibvirtError(error, 'OPERATION_INVALID') || (await connection.domains.isActive(domain))) throw error;
      throw new VirgaError('Conflict', {
        detail: `${domain.name} does not run, so it has no console.`,
        action: 'Start it first.',
        cause: error,
      });
    }
  });
}

/** The end of what the console printed, at most `tailBytes`. */
export async function readConsoleLog(
  context: AgentContext,
  id: InstanceId,
  tailBytes: number,
): Promise<{ bytes: Buffer; truncated: boolean }> {
  const { consoleLog } = instanceFiles(context.storage, id);
  const parts: Buffer[] = [];
  let [leftBytes, truncated] = [tailBytes, false];
  for (const suffix of ['', ...rotatedSuffixes]) {
    const part = await readTail(`${consoleLog}${suffix}`, leftBytes);
    parts.unshift(part.bytes);
    leftBytes -= part.bytes.length;
    truncated ||= part.truncated;
  }
  return { bytes: Buffer.concat(parts), truncated };
}

async function readTail(path: string, tailBytes: number): Promise<{ bytes: Buffer; truncated: boolean }> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.max(0, Math.min(size, tailBytes)));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, size - buffer.length);
    return { bytes: buffer.subarray(0, bytesRead), truncated: size > buffer.length };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { bytes: Buffer.alloc(0), truncated: false };
    throw error;
  }
}
