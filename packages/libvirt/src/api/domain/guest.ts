// What reaches into the guest through its agent, past libvirt to QEMU's monitor, and what a domain carries about itself.
// Owns no state; fails with LibvirtError (`AGENT_UNRESPONSIVE`, `NO_DOMAIN_METADATA` ...).
import type { CallOptions } from '../../connection/call-table.ts';
import type { Session } from '../../connection/session.ts';
import * as calls from '../../protocol/domain/guest-calls.ts';
import type { DomainRef } from '../../protocol/objects.ts';
import { type ParameterRecord, parameterRecord } from '../../protocol/typed-parameters.ts';
import { type Flags, flagBits } from '../flags.ts';
import { affectFlags } from './affect.ts';

const metadataTypes = { description: 0, title: 1, element: 2 } as const;
const metadataElement = metadataTypes.element;
const infoTypes = { users: 1, os: 2, timezone: 4, hostname: 8, filesystem: 16, disks: 32, interfaces: 64 } as const;
const hostnameSources = { lease: 1, agent: 2 } as const;
const defaultAgentTimeoutSeconds = -1;
/** How much longer than the agent itself the call may take. */
const agentGraceMs = 10_000;

type Affect = Flags<typeof affectFlags> & CallOptions;

export interface MetadataElement {
  /** Namespace of the element; one element a namespace. */
  uri: string;
  /** Prefix under which libvirt writes it. */
  key: string;
  /** The element; null removes it. */
  xml: string | null;
}

export interface GuestFileSystem {
  mountPoint: string;
  name: string;
  type: string;
  /** Target names of the disks that it lies on. */
  deviceAliases: readonly string[];
}

export function domainGuest(session: Session) {
  return {
    /** The `<metadata>` child of one namespace. @throws LibvirtError `NO_DOMAIN_METADATA` */
    async getMetadata(domain: DomainRef, uri: string, options?: Affect): Promise<string> {
      const args = { domain, type: metadataElement, uri, flags: flagBits(affectFlags, options) };
      return (await session.call(calls.domainGetMetadata, args, options)).metadata;
    },

    async setMetadata(domain: DomainRef, { uri, key, xml }: MetadataElement, options?: Affect): Promise<void> {
      const flags = flagBits(affectFlags, options);
      await session.call(
        calls.domainSetMetadata,
        { domain, type: metadataElement, metadata: xml, key, uri, flags },
        options,
      );
    },

    /** The title or description. @throws LibvirtError `NO_DOMAIN_METADATA` it has none */
    async getLabel(domain: DomainRef, label: 'title' | 'description', options?: Affect): Promise<string> {
      const args = { domain, type: metadataTypes[label], uri: null, flags: flagBits(affectFlags, options) };
      return (await session.call(calls.domainGetMetadata, args, options)).metadata;
    },

    /** Sets the title or description; null removes it. */
    async setLabel(
      domain: DomainRef,
      label: 'title' | 'description',
      text: string | null,
      options?: Affect,
    ): Promise<void> {
      const type = metadataTypes[label];
      const args = { domain, type, metadata: text, key: null, uri: null, flags: flagBits(affectFlags, options) };
      await session.call(calls.domainSetMetadata, args, options);
    },

    /**
     * Sends one command to the guest agent, e.g. `{ execute: 'guest-ping' }`, and returns what it answered (the `return`
     * member; undefined for commands that do not answer).
     * @param options.agentTimeoutSeconds how long the agent may take; default libvirt's own 5 s
     * @throws LibvirtError `AGENT_UNRESPONSIVE`
     */
    async agentCommand(
      domain: DomainRef,
      command: { execute: string; arguments?: unknown },
      options?: { agentTimeoutSeconds?: number } & CallOptions,
    ): Promise<unknown> {
      const timeoutSeconds = options?.agentTimeoutSeconds ?? defaultAgentTimeoutSeconds;
      const timeoutMs = options?.timeoutMs ?? (timeoutSeconds > 0 ? timeoutSeconds * 1000 + agentGraceMs : undefined);
      const args = { domain, command: JSON.stringify(command), timeoutSeconds, flags: 0 };
      const { result } = await session.call(calls.qemuAgentCommand, args, { timeoutMs, signal: options?.signal });
      return result === null ? undefined : (JSON.parse(result) as { return: unknown }).return;
    },

    /**
     * Sends one QMP command to QEMU and returns its `return` member. libvirt does not know what it does: use it for
     * reading. The domain counts as tainted from then on.
     */
    async monitorCommand(
      domain: DomainRef,
      command: { execute: string; arguments?: unknown },
      options?: CallOptions,
    ): Promise<unknown> {
      const args = { domain, command: JSON.stringify(command), flags: 0 };
      const { result } = await session.call(calls.qemuMonitorCommand, args, options);
      return (JSON.parse(result) as { return: unknown }).return;
    },

    /** The same in QEMU's human language, e.g. `info registers`. */
    async humanMonitorCommand(domain: DomainRef, command: string, options?: CallOptions): Promise<string> {
      return (await session.call(calls.qemuMonitorCommand, { domain, command, flags: 1 }, options)).result;
    },

    /** Freezes the guest's file systems (all, or those mounted at the given places); returns how many. */
    async freezeFileSystems(
      domain: DomainRef,
      options?: { mountPoints?: readonly string[] } & CallOptions,
    ): Promise<number> {
      const args = { domain, mountPoints: options?.mountPoints ?? [], flags: 0 };
      return (await session.call(calls.domainFsfreeze, args, options)).fileSystems;
    },

    async thawFileSystems(
      domain: DomainRef,
      options?: { mountPoints?: readonly string[] } & CallOptions,
    ): Promise<number> {
      const args = { domain, mountPoints: options?.mountPoints ?? [], flags: 0 };
      return (await session.call(calls.domainFsthaw, args, options)).fileSystems;
    },

    /** Gives unused blocks back to the host. */
    async trimFileSystems(domain: DomainRef, options?: { mountPoint?: string } & CallOptions): Promise<void> {
      const args = { domain, mountPoint: options?.mountPoint ?? null, minimumBytes: 0, flags: 0 };
      await session.call(calls.domainFstrim, args, options);
    },

    async fileSystems(domain: DomainRef, options?: CallOptions): Promise<readonly GuestFileSystem[]> {
      return (await session.call(calls.domainGetFsinfo, { domain, flags: 0 }, options)).fileSystems;
    },

    async guestTime(domain: DomainRef, options?: CallOptions): Promise<Date> {
      const { seconds, nanoseconds } = await session.call(calls.domainGetTime, { domain, flags: 0 }, options);
      return new Date(Number(seconds) * 1000 + Math.floor(nanoseconds / 1e6));
    },

    /** Sets the guest's clock; without `time` the guest takes it from its hardware clock. */
    async setGuestTime(domain: DomainRef, time?: Date, options?: CallOptions): Promise<void> {
      const ms = time?.getTime() ?? 0;
      const seconds = BigInt(Math.floor(ms / 1000));
      const args = { domain, seconds, nanoseconds: (ms % 1000) * 1e6, flags: time === undefined ? 1 : 0 };
      await session.call(calls.domainSetTime, args, options);
    },

    /** What the agent tells about the guest, by libvirt's names (`os.name`, `user.0.name` ...); default everything. */
    async guestInfo(
      domain: DomainRef,
      options?: { types?: readonly (keyof typeof infoTypes)[] } & CallOptions,
    ): Promise<ParameterRecord> {
      const types = options?.types?.reduce((bits, type) => bits | infoTypes[type], 0) ?? 0;
      return parameterRecord(
        (await session.call(calls.domainGetGuestInfo, { domain, types, flags: 0 }, options)).parameters,
      );
    },

    /** @throws LibvirtError `NO_HOSTNAME` */
    async hostname(
      domain: DomainRef,
      source: keyof typeof hostnameSources = 'lease',
      options?: CallOptions,
    ): Promise<string> {
      return (await session.call(calls.domainGetHostname, { domain, flags: hostnameSources[source] }, options))
        .hostname;
    },

    /** @param options.encrypted the password is a crypt(3) hash */
    async setUserPassword(
      domain: DomainRef,
      user: string,
      password: string,
      options?: { encrypted?: boolean } & CallOptions,
    ): Promise<void> {
      const args = { domain, user, password, flags: options?.encrypted ? 1 : 0 };
      await session.call(calls.domainSetUserPassword, args, options);
    },

    async authorizedSshKeys(domain: DomainRef, user: string, options?: CallOptions): Promise<readonly string[]> {
      return (await session.call(calls.domainAuthorizedSshKeysGet, { domain, user, flags: 0 }, options)).keys;
    },

    /** Replaces a user's keys; `append` adds to them, `remove` takes these away. */
    async setAuthorizedSshKeys(
      domain: DomainRef,
      user: string,
      keys: readonly string[],
      options?: { mode?: 'replace' | 'append' | 'remove' } & CallOptions,
    ): Promise<void> {
      const flags = { replace: 0, append: 1, remove: 2 }[options?.mode ?? 'replace'];
      await session.call(calls.domainAuthorizedSshKeysSet, { domain, user, keys, flags }, options);
    },

    /** How long libvirt waits for the agent in calls that set no time: seconds, or 'block', 'default', 'no-wait'. */
    async setAgentResponseTimeout(
      domain: DomainRef,
      timeout: number | 'block' | 'default' | 'no-wait',
      options?: CallOptions,
    ): Promise<void> {
      const named = { block: -2, default: -1, 'no-wait': 0 } as const;
      const timeoutSeconds = typeof timeout === 'number' ? timeout : named[timeout];
      await session.call(calls.domainAgentSetResponseTimeout, { domain, timeoutSeconds, flags: 0 }, options);
    },

    /** What libvirt holds against the domain: taints and deprecations, as sentences. */
    async messages(domain: DomainRef, options?: CallOptions): Promise<readonly string[]> {
      return (await session.call(calls.domainGetMessages, { domain, flags: 0 }, options)).messages;
    },
  };
}
