// What a backup has beside the disks: what the instance was to be, its domain, its seed, and what its machine keeps. Reads only;
// a file that is missing is left out.
import { readFile } from 'node:fs/promises';
import type { BackupSettings } from '@virga/contract/agent/backups';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { AgentContext } from '../agent-context.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { instanceFiles } from '../instances/instance-folder.ts';
import { readMachineFiles } from '../instances/machine-files.ts';

export async function readSettings(
  { storage }: AgentContext,
  { domains }: Connection,
  { ref, record }: OwnDomain,
): Promise<BackupSettings> {
  const { desired } = record;
  const seed = await readFile(instanceFiles(storage, desired.id).seed, 'base64').catch(() => undefined);
  const files = { ...(await readMachineFiles(storage, desired)), ...(seed !== undefined && { 'seed.iso': seed }) };
  const { passphrases: _, ...kept } = desired as typeof desired & { passphrases?: unknown };
  return { desired: kept, xml: await domains.xml(ref, { inactive: true }), files };
}
