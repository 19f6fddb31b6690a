// The passphrase of an encrypted volume: a secret of libvirt's, for guests, and in the memory of this process, for the programs that
// make and merge files of its disk. Both forget it when they end, so it is given anew whenever the volume is applied.
import type { VolumeId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { forgetSecret, hasSecret, keepSecret, type MemorySecret, secretUuid } from '../memory-secret.ts';

export const volumeSecretUuid = (id: VolumeId): string => secretUuid(`virga volume ${id}`);

const secretOf = (id: VolumeId): MemorySecret => ({ uuid: volumeSecretUuid(id), what: `passphrase of ${id}` });

export async function keepVolumeSecret(context: AgentContext, id: VolumeId, passphrase: string): Promise<void> {
  context.passphrases.set(id, passphrase);
  await keepSecret(context, secretOf(id), Buffer.from(passphrase));
}

export const hasVolumeSecret = (context: AgentContext, id: VolumeId): Promise<boolean> =>
  hasSecret(context, secretOf(id));

export async function forgetVolumeSecret(context: AgentContext, id: VolumeId): Promise<void> {
  context.passphrases.delete(id);
  await forgetSecret(context, secretOf(id));
}
