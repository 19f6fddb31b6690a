// Finding, defining and describing domains. Owns no state; fails with LibvirtError ('NO_DOMAIN', 'XML_ERROR',
// 'XML_INVALID_SCHEMA', 'OPERATION_FAILED' for a name or UUID that is taken ...).
import type { CallOptions } from '../../connection/call-table.ts';
import type { Session } from '../../connection/session.ts';
import * as calls from '../../protocol/domain/lifecycle-calls.ts';
import type { DomainRef } from '../../protocol/objects.ts';
import { type Flags, flagBits } from '../flags.ts';
import { type DomainState, type DomainStateName, domainState, domainStateName } from './state-names.ts';

const listFlags = {
  active: 1,
  inactive: 2,
  persistent: 4,
  transient: 8,
  running: 16,
  paused: 32,
  off: 64,
  otherState: 128,
  withManagedSave: 256,
  withoutManagedSave: 512,
  autostart: 1024,
  noAutostart: 2048,
  withSnapshot: 4096,
  withoutSnapshot: 8192,
} as const;
const xmlFlags = { secure: 1, inactive: 2, updateCpu: 4, migratable: 8 } as const;
const defineFlags = { validate: 1 } as const;
const undefineFlags = {
  managedSave: 1,
  snapshotsMetadata: 2,
  nvram: 4,
  keepNvram: 8,
  checkpointsMetadata: 16,
  tpm: 32,
  keepTpm: 64,
} as const;

/** Which domains to list; none set lists all. Of each pair (active/inactive ...) both set is as none. */
export type DomainFilter = Flags<typeof listFlags>;

export interface DomainInfo {
  state: DomainStateName;
  maxMemoryKib: number;
  memoryKib: number;
  vcpus: number;
  /** Processor time used since start, in nanoseconds; 0 when off. */
  cpuTimeNs: bigint;
}

export function domainDefinition(session: Session) {
  return {
    /** Lists domains. @see libvirt virConnectListAllDomains */
    async list(options?: DomainFilter & CallOptions): Promise<readonly DomainRef[]> {
      const flags = flagBits(listFlags, options);
      return (await session.call(calls.connectListAllDomains, { needResults: true, flags }, options)).domains;
    },

    /** @throws LibvirtError `NO_DOMAIN` */
    async lookupByName(name: string, options?: CallOptions): Promise<DomainRef> {
      return (await session.call(calls.domainLookupByName, { name }, options)).domain;
    },

    /** @throws LibvirtError `NO_DOMAIN` */
    async lookupByUuid(uuid: string, options?: CallOptions): Promise<DomainRef> {
      return (await session.call(calls.domainLookupByUuid, { uuid }, options)).domain;
    },

    /** Finds a running domain by its number. @throws LibvirtError `NO_DOMAIN` */
    async lookupById(id: number, options?: CallOptions): Promise<DomainRef> {
      return (await session.call(calls.domainLookupById, { id }, options)).domain;
    },

    /**
     * Makes a domain permanent, or replaces the definition of the one with the same UUID and name.
     * @param options.validate check the XML against libvirt's schema first (`XML_INVALID_SCHEMA`)
     */
    async defineXml(xml: string, options?: Flags<typeof defineFlags> & CallOptions): Promise<DomainRef> {
      const flags = flagBits(defineFlags, options);
      return (await session.call(calls.domainDefineXmlFlags, { xml, flags }, options)).domain;
    },

    /**
     * What a start of a domain like this would come to, such as QEMU's command line. Nothing is defined.
     * @throws LibvirtError `XML_ERROR`, `CONFIG_UNSUPPORTED` ... libvirt would not take the definition
     * @see libvirt virConnectDomainXMLToNative
     */
    async xmlToNative(xml: string, options?: { format?: string } & CallOptions): Promise<string> {
      const args = { format: options?.format ?? 'qemu-argv', xml, flags: 0 };
      return (await session.call(calls.connectDomainXmlToNative, args, options)).config;
    },

    /**
     * Removes the definition; a running domain becomes transient. What else exists of the domain (managed save image,
     * snapshots, NVRAM, TPM) must be named to go with it, or libvirt refuses with `OPERATION_INVALID`.
     */
    async undefine(domain: DomainRef, options?: Flags<typeof undefineFlags> & CallOptions): Promise<void> {
      await session.call(calls.domainUndefineFlags, { domain, flags: flagBits(undefineFlags, options) }, options);
    },

    /** The XML: of the running domain, or with `inactive` what the next start will use; `secure` adds passwords. */
    async xml(domain: DomainRef, options?: Flags<typeof xmlFlags> & CallOptions): Promise<string> {
      return (await session.call(calls.domainGetXmlDesc, { domain, flags: flagBits(xmlFlags, options) }, options)).xml;
    },

    async state(domain: DomainRef, options?: CallOptions): Promise<DomainState> {
      const { state, reason } = await session.call(calls.domainGetState, { domain, flags: 0 }, options);
      return domainState(state, reason);
    },

    async info(domain: DomainRef, options?: CallOptions): Promise<DomainInfo> {
      const info = await session.call(calls.domainGetInfo, { domain }, options);
      return { ...info, state: domainStateName(info.state) };
    },

    async isActive(domain: DomainRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.domainIsActive, { domain }, options)).active;
    },

    async isPersistent(domain: DomainRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.domainIsPersistent, { domain }, options)).persistent;
    },

    /** True when the running domain differs from its definition. */
    async isUpdated(domain: DomainRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.domainIsUpdated, { domain }, options)).updated;
    },

    async getAutostart(domain: DomainRef, options?: CallOptions): Promise<boolean> {
      return (await session.call(calls.domainGetAutostart, { domain }, options)).autostart;
    },

    /** Whether libvirt starts the domain when the host starts. */
    async setAutostart(domain: DomainRef, autostart: boolean, options?: CallOptions): Promise<void> {
      await session.call(calls.domainSetAutostart, { domain, autostart }, options);
    },

    /** Renames a domain that is off. */
    async rename(domain: DomainRef, newName: string, options?: CallOptions): Promise<void> {
      await session.call(calls.domainRename, { domain, newName, flags: 0 }, options);
    },
  };
}
