// Secrets that libvirt keeps in memory only and shows nobody. It forgets them when it ends, so each is given anew before it is
// needed. One is known by the UUID of what it belongs to, the same on every host.
import { createHash } from 'node:crypto';
import type { AgentContext } from './agent-context.ts';
import { tolerate } from './hypervisor-errors.ts';
import { element, textElement } from './xml.ts';

export type MemorySecret = {
  uuid: string;
  /** For people, and for the log, such as `passphrase of vol-…`. */
  what: string;
  /** Elements that say what it is for. */
  usage?: string | false;
};

/** Version 4 in form: libvirt looks at no more. */
export function secretUuid(owner: string): string {
  const hex = createHash('sha256').update(owner).digest('hex');
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ];
  return parts.join('-');
}

export async function keepSecret(
  { hypervisor }: AgentContext,
  { uuid, what, usage = false }: MemorySecret,
  value: Buffer,
): Promise<void> {
  const xml = element(
    'secret',
    { ephemeral: 'yes', private: 'yes' },
    textElement('uuid', uuid),
    textElement('description', `Virga: ${what}`),
    usage,
  );
  await hypervisor.act(`keep the ${what}`, async ({ secrets }) => {
    await secrets.setValue(await secrets.defineXml(xml), value);
  });
}

export const hasSecret = ({ hypervisor }: AgentContext, { uuid, what }: MemorySecret): Promise<boolean> =>
  hypervisor.ask(`look for the ${what}`, async ({ secrets }) =>
    (await secrets.list()).some((secret) => secret.uuid === uuid),
  );

/** One that is not there is no error. */
export async function forgetSecret({ hypervisor }: AgentContext, { uuid, what }: MemorySecret): Promise<void> {
  await hypervisor.act(`forget the ${what}`, async ({ secrets }) => {
    const secret = (await secrets.list()).find((one) => one.uuid === uuid);
    if (secret !== undefined) await tolerate(secrets.undefine(secret), 'NO_SECRET');
  });
}
