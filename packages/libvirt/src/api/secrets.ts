// Secrets that libvirt keeps for disks and networks, such as Ceph keys and LUKS passphrases. Owns no state; fails with
// LibvirtError (`NO_SECRET`, `INVALID_SECRET`).
import type { CallOptions } from '../connection/call-table.ts';
import type { Subscription } from '../connection/event-hub.ts';
import type { Session } from '../connection/session.ts';
import type { SecretRef } from '../protocol/objects.ts';
import * as calls from '../protocol/secret-calls.ts';
import { type Flags, flagBits, nameOf } from './flags.ts';

const listFlags = { ephemeral: 1, notEphemeral: 2, private: 4, notPrivate: 8 } as const;
const usageTypes = { none: 0, volume: 1, ceph: 2, iscsi: 3, tls: 4, vtpm: 5 } as const;
const lifecycleNames = ['defined', 'undefined'] as const;

export type SecretUsage = keyof typeof usageTypes;
export interface SecretEvent {
  kind: 'lifecycle';
  secret: SecretRef;
  event: (typeof lifecycleNames)[number] | 'unknown';
}

export type Secrets = ReturnType<typeof secrets>;

export function secrets(session: Session) {
  return {
    /** Lists secrets; none of the filters set lists all. */
    async list(options?: Flags<typeof listFlags> & CallOptions): Promise<readonly SecretRef[]> {
      const args = { needResults: true, flags: flagBits(listFlags, options) };
      return (await session.call(calls.connectListAllSecrets, args, options)).secrets;
    },

    /** @throws LibvirtError `NO_SECRET` */
    async lookupByUuid(uuid: string, options?: CallOptions): Promise<SecretRef> {
      return (await session.call(calls.secretLookupByUuid, { uuid }, options)).secret;
    },

    /** @throws LibvirtError `NO_SECRET` */
    async lookupByUsage(usage: SecretUsage, usageId: string, options?: CallOptions): Promise<SecretRef> {
      return (await session.call(calls.secretLookupByUsage, { usageType: usageTypes[usage], usageId }, options)).secret;
    },

    async defineXml(xml: string, options?: { validate?: boolean } & CallOptions): Promise<SecretRef> {
      return (await session.call(calls.secretDefineXml, { xml, flags: options?.validate ? 1 : 0 }, options)).secret;
    },

    async undefine(secret: SecretRef, options?: CallOptions): Promise<void> {
      await session.call(calls.secretUndefine, { secret }, options);
    },

    async xml(secret: SecretRef, options?: CallOptions): Promise<string> {
      return (await session.call(calls.secretGetXmlDesc, { secret, flags: 0 }, options)).xml;
    },

    /** Sets the secret itself: at most 64 KiB. */
    async setValue(secret: SecretRef, value: Uint8Array, options?: CallOptions): Promise<void> {
      await session.call(calls.secretSetValue, { secret, value, flags: 0 }, options);
    },

    /** @throws LibvirtError `INVALID_SECRET` it is private, `NO_SECRET` it has no value yet */
    async value(secret: SecretRef, options?: CallOptions): Promise<Uint8Array> {
      return (await session.call(calls.secretGetValue, { secret, flags: 0 }, options)).value;
    },

    /** Calls `listener` when secrets are defined or undefined. Order as for domain events. */
    on(listener: (event: SecretEvent) => void, options?: CallOptions): Promise<Subscription> {
      return session.events.subscribe(
        calls.secretLifecycle,
        ({ secret, event }) => listener({ kind: 'lifecycle', secret, event: nameOf(lifecycleNames, event) }),
        options,
      );
    },
  };
}
