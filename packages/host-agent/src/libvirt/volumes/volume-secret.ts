// The passphrase of an encrypted volume, as a secret of libvirt's: given anew whenever the volume is applied.
import type { VolumeId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { forgetSecret, hasSecret, keepSecret, type MemorySecret, secretUuid } from '../memory-secret.ts';

export const volumeSecretUuid = (id: VolumeId): string => secretUuid(`virga volume ${id}`);

const secretOf = (id: VolumeId): MemorySecret => ({ uuid: volumeSecretUuid(id), what: `passphrase of ${id}` });

export const keepVolumeSecret = (context: AgentContext, id: VolumeId, passphrase: string): Promise<void> =>
  keepSecret(context, secretOf(id), Buffer.from(passphrase));

export const hasVolumeSecret = (context: AgentContext, id: VolumeId): Promise<boolean> =>
  hasSecret(context, secretOf(id));

export const forgetVolumeSecret = (context: AgentContext, id: VolumeId): Promise<void> =>
  forgetSecret(context, secretOf(id));
