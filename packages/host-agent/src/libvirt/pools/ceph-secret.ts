// The key of a Ceph pool, as a secret of libvirt's.
import type { PoolId } from '@virga/contract/ids';
import type { AgentContext } from '../agent-context.ts';
import { forgetSecret, keepSecret, type MemorySecret, secretUuid } from '../memory-secret.ts';
import { element, textElement } from '../xml.ts';

export const cephSecretUuid = (id: PoolId): string => secretUuid(`virga pool ${id}`);

const secretOf = (id: PoolId): MemorySecret => ({
  uuid: cephSecretUuid(id),
  what: `key of ${id}`,
  usage: element('usage', { type: 'ceph' }, textElement('name', `virga ${id}`)),
});

/** @param key as Ceph writes it, base64 */
export const keepCephSecret = (context: AgentContext, id: PoolId, key: string): Promise<void> =>
  keepSecret(context, secretOf(id), Buffer.from(key, 'base64'));

export const forgetCephSecret = (context: AgentContext, id: PoolId): Promise<void> =>
  forgetSecret(context, secretOf(id));
