// The key of a Ceph pool, as a secret that libvirt keeps in memory only and shows nobody. libvirt forgets it when it ends, so
// it is given again before a guest is given a disk of that pool.
import { createHash } from 'node:crypto';
import type { PoolId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { tolerate } from '../hypervisor-errors.ts';
import { element, textElement } from '../xml.ts';

export function cephSecretUuid(id: PoolId): string {
  const hex = createHash('sha256').update(`virga pool ${id}`).digest('hex');
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return parts.join('-');
}

/** @param key as Ceph writes it, base64 */
export async function keepCephSecret({ hypervisor }: AgentContext, id: PoolId, key: string): Promise<void> {
  const xml = element(
    'secret',
    { ephemeral: 'yes', private: 'yes' },
    textElement('uuid', cephSecretUuid(id)),
    textElement('description', `Virga: key of ${id}`),
    element('usage', { type: 'ceph' }, textElement('name', `virga ${id}`)),
  );
  await hypervisor.act(`keep the key of ${id}`, async ({ secrets }) => {
    await secrets.setValue(await secrets.defineXml(xml), Buffer.from(key, 'base64'));
  });
}

export async function forgetCephSecret({ hypervisor }: AgentContext, id: PoolId): Promise<void> {
  await hypervisor.act(`forget the key of ${id}`, async ({ secrets }) => {
    const secret = (await secrets.list()).find(({ uuid }) => uuid === cephSecretUuid(id));
    if (secret !== undefined) await tolerate(secrets.undefine(secret), 'NO_SECRET');
  });
}
