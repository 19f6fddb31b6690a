// Starting, stopping, pausing and saving domains. Owns no state; fails with LibvirtError (`OPERATION_INVALID` when the
// domain is in a state that does not allow it).
import type { CallOptions } from '../../connection/call-table.ts';
import type { Session } from '../../connection/session.ts';
import * as calls from '../../protocol/domain/lifecycle-calls.ts';
import type { DomainRef } from '../../protocol/objects.ts';
import { type Flags, flagBits } from '../flags.ts';

const createFlags = { paused: 1, autodestroy: 2, bypassCache: 4, forceBoot: 8, validate: 16, resetNvram: 32 } as const;
const destroyFlags = { graceful: 1, removeLogs: 2 } as const;
const saveFlags = { bypassCache: 1, running: 2, paused: 4, resetNvram: 8 } as const;
/** With what only who may change a domain sees. */
const secureXml = 1;
const modeFlags = { default: 0, acpi: 1, agent: 2, initctl: 4, signal: 8, paravirt: 16 } as const;

/** How a guest is asked to shut down or reboot; `default` lets libvirt choose. */
export type ShutdownMode = keyof typeof modeFlags;

export function domainPower(session: Session) {
  return {
    /** Starts a defined domain and returns it with its running id. `autodestroy`: it ends with this connection. */
    async create(domain: DomainRef, options?: Flags<typeof createFlags> & CallOptions): Promise<DomainRef> {
      const flags = flagBits(createFlags, options);
      return (await session.call(calls.domainCreateWithFlags, { domain, flags }, options)).domain;
    },

    /** Defines and starts a transient domain: it is gone once it stops. */
    async createXml(xml: string, options?: Flags<typeof createFlags> & CallOptions): Promise<DomainRef> {
      const flags = flagBits(createFlags, options);
      return (await session.call(calls.domainCreateXml, { xml, flags }, options)).domain;
    },

    /**
     * Pulls the plug. With `graceful` a QEMU that does not end on SIGTERM is left running, so that its disk caches are
     * not lost, and the call fails with `SYSTEM_ERROR`.
     */
    async destroy(domain: DomainRef, options?: Flags<typeof destroyFlags> & CallOptions): Promise<void> {
      await session.call(calls.domainDestroyFlags, { domain, flags: flagBits(destroyFlags, options) }, options);
    },

    /** Asks the guest to shut down and returns at once; watch for the `stopped` event. */
    async shutdown(domain: DomainRef, options?: { mode?: ShutdownMode } & CallOptions): Promise<void> {
      const flags = modeFlags[options?.mode ?? 'default'];
      await session.call(calls.domainShutdownFlags, { domain, flags }, options);
    },

    /** Asks the guest to reboot and returns at once. */
    async reboot(domain: DomainRef, options?: { mode?: ShutdownMode } & CallOptions): Promise<void> {
      await session.call(calls.domainReboot, { domain, flags: modeFlags[options?.mode ?? 'default'] }, options);
    },

    /** Presses the reset button: the guest is not asked. */
    async reset(domain: DomainRef, options?: CallOptions): Promise<void> {
      await session.call(calls.domainReset, { domain, flags: 0 }, options);
    },

    /** Stops the virtual processors; memory stays. */
    async suspend(domain: DomainRef, options?: CallOptions): Promise<void> {
      await session.call(calls.domainSuspend, { domain }, options);
    },

    async resume(domain: DomainRef, options?: CallOptions): Promise<void> {
      await session.call(calls.domainResume, { domain }, options);
    },

    /** Saves memory to a file that libvirt keeps, and stops the domain; the next start continues from it. */
    async managedSave(domain: DomainRef, options?: Flags<typeof saveFlags> & CallOptions): Promise<void> {
      await session.call(calls.domainManagedSave, { domain, flags: flagBits(saveFlags, options) }, options);
    },

    async hasManagedSave(domain: DomainRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.domainHasManagedSaveImage, { domain, flags: 0 }, options)).present;
    },

    /** The XML that the saved memory goes on with. Fails when the file cannot be read or is none. */
    async managedSaveXml(domain: DomainRef, options?: CallOptions): Promise<string> {
      return (await session.call(calls.domainManagedSaveGetXmlDesc, { domain, flags: 0 }, options)).xml;
    },

    async removeManagedSave(domain: DomainRef, options?: CallOptions): Promise<void> {
      await session.call(calls.domainManagedSaveRemove, { domain, flags: 0 }, options);
    },

    /** Saves memory to a file on the host and stops the domain. `domainXml` replaces the XML that the file carries. */
    async save(
      domain: DomainRef,
      path: string,
      options?: Flags<typeof saveFlags> & { domainXml?: string } & CallOptions,
    ): Promise<void> {
      const args = { domain, path, domainXml: options?.domainXml ?? null, flags: flagBits(saveFlags, options) };
      await session.call(calls.domainSaveFlags, args, options);
    },

    /** The XML that a file made by `save`, or with a snapshot, carries. */
    async savedXml(path: string, options?: CallOptions): Promise<string> {
      return (await session.call(calls.domainSaveImageGetXmlDesc, { path, flags: secureXml }, options)).xml;
    },

    /** Starts a domain from a file made by `save`. */
    async restore(
      path: string,
      options?: Flags<typeof saveFlags> & { domainXml?: string } & CallOptions,
    ): Promise<void> {
      const args = { path, domainXml: options?.domainXml ?? null, flags: flagBits(saveFlags, options) };
      await session.call(calls.domainRestoreFlags, args, options);
    },
  };
}
