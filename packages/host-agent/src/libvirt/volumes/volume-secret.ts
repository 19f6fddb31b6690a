// The passphrase of an encrypted volume, as a secret that libvirt keeps in memory only and shows nobody. libvirt forgets it
// when it ends, so it is given anew whenever the volume is applied.
import { createHash } from 'node:crypto';
import type { VolumeId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { tolerate } from '../hypervisor-errors.ts';
import { element, textElement } from '../xml.ts';

/** The same wherever the volume is. */
export function volumeSecretUuid(id: VolumeId): string {
  const hex = createHash('sha256').update(`virga volume ${id}`).digest('hex');
  // Version 4 in form: libvirt looks at no more.
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return parts.join('-');
}

export async function keepVolumeSecret({ hypervisor }: AgentContext, id: VolumeId, passphrase: string): Promise<void> {
  const xml = element(
    'secret',
    { ephemeral: 'yes', private: 'yes' },
    textElement('uuid', volumeSecretUuid(id)),
    textElement('description', `Virga: passphrase of ${id}`),
  );
  await hypervisor.act(`keep the passphrase of ${id}`, async ({ secrets }) => {
    await secrets.setValue(await secrets.defineXml(xml), Buffer.from(passphrase));
  });
}

export const hasVolumeSecret = ({ hypervisor }: AgentContext, id: VolumeId): Promise<boolean> =>
  hypervisor.ask(`look for the passphrase of ${id}`, async ({ secrets }) =>
    (await secrets.list()).some(({ uuid }) => uuid === volumeSecretUuid(id)),
  );

export async function forgetVolumeSecret({ hypervisor }: AgentContext, id: VolumeId): Promise<void> {
  await hypervisor.act(`forget the passphrase of ${id}`, async ({ secrets }) => {
    const secret = (await secrets.list()).find(({ uuid }) => uuid === volumeSecretUuid(id));
    if (secret !== undefined) await tolerate(secrets.undefine(secret), 'NO_SECRET');
  });
}
