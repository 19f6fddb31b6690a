// The passphrase of an encrypted volume, for programs that make, merge and copy files of its disk. This process has it from
// whoever applied the volume, and in memory only.
import { isId } from '@virga/contract/ids';
import { noPassphrase } from '../../volume-conflicts.ts';
import type { AgentContext } from '../agent-context.ts';
import { readVolume } from './volume-folder.ts';

/** Undefined: the disk is not encrypted, or no volume's. @throws NotFound it has yet to be given */
export async function passphraseOf(
  { storage, passphrases }: Pick<AgentContext, 'storage' | 'passphrases'>,
  diskId: string,
): Promise<string | undefined> {
  if (!isId('volume', diskId) || !(await readVolume(storage, diskId))?.encrypted) return undefined;
  const passphrase = passphrases.get(diskId);
  if (passphrase === undefined) throw noPassphrase(diskId);
  return passphrase;
}

/** Of several disks, so that all are known to be there before anything is made. @throws NotFound */
export async function passphrasesOf(
  context: Pick<AgentContext, 'storage' | 'passphrases'>,
  disks: readonly { id: string }[],
): Promise<ReadonlyMap<string, string | undefined>> {
  return new Map(await Promise.all(disks.map(async ({ id }) => [id, await passphraseOf(context, id)] as const)));
}
