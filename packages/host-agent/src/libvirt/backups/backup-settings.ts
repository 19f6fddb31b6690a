// What a backup has beside the disks: what the instance was to be, its domain, the variables of its firmware, and, of one that is
// off, its TPM, which QEMU writes while it runs. Reads only; a file that is missing is left out.
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { BackupSettings } from '@virga/contract/agent/backups';
import type { Connection } from '@virga/libvirt/connection/connect';
import type { AgentContext } from '../agent-context.ts';
import type { OwnDomain } from '../instances/domain-lookup.ts';
import { folderPath } from '../instances/instance-folder.ts';
import { tpmStatePath } from '../instances/tpm-state.ts';

export async function readSettings(
  { storage }: AgentContext,
  { domains }: Connection,
  { ref, record }: OwnDomain,
  isOff: boolean,
): Promise<BackupSettings> {
  const { desired } = record;
  const folder = folderPath(storage, desired.id);
  const names = (await readdir(folder)).filter((name) => name.startsWith('nvram') || name === 'seed.iso');
  const paths = names.map((name) => join(folder, name));
  const tpm = tpmStatePath(desired.uuid);
  if (isOff && desired.tpm) paths.push(...(await filesIn(tpm)));
  const nameOf = (path: string) => (path.startsWith(tpm) ? `tpm/${relative(tpm, path)}` : relative(folder, path));
  const files = await Promise.all(paths.map(async (path) => [nameOf(path), await readFile(path, 'base64')] as const));
  const { passphrases: _, ...kept } = desired as typeof desired & { passphrases?: unknown };
  return { desired: kept, xml: await domains.xml(ref, { inactive: true }), files: Object.fromEntries(files) };
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath ?? dirname(folder), entry.name));
}
