// Consoles, channels and screenshots of domains, as Node streams. Owns no state; a stream that fails is destroyed with the
// error. Each stream has a connection of its own, so a reader that stops slows nothing else.
import type { Duplex, Readable } from 'node:stream';
import type { CallOptions } from '../../connection/call-table.ts';
import type { Session } from '../../connection/session.ts';
import * as calls from '../../protocol/domain/device-calls.ts';
import type { DomainRef } from '../../protocol/objects.ts';
import { type Flags, flagBits } from '../flags.ts';

const consoleFlags = { force: 1, safe: 2 } as const;
const channelFlags = { force: 1 } as const;
const bothWays = { readable: true, writable: true, sparse: false } as const;
const download = { readable: true, writable: false, sparse: false } as const;

export function domainStreams(session: Session) {
  return {
    /**
     * Opens a serial console of a running domain. It ends when the domain stops; ending or destroying it leaves the
     * domain alone. `force` takes it from whoever has it open, `safe` refuses when exclusive access cannot be had.
     * @param options.device alias such as `serial0`; default the first console
     * @throws LibvirtError `OPERATION_FAILED` somebody else has it open
     */
    async openConsole(
      domain: DomainRef,
      options?: { device?: string } & Flags<typeof consoleFlags> & CallOptions,
    ): Promise<Duplex> {
      const args = { domain, device: options?.device ?? null, flags: flagBits(consoleFlags, options) };
      return (await session.openStream(calls.domainOpenConsole, args, bothWays, options)).stream;
    },

    /** Opens a channel to the guest, by its target name; default the first. */
    async openChannel(
      domain: DomainRef,
      options?: { name?: string } & Flags<typeof channelFlags> & CallOptions,
    ): Promise<Duplex> {
      const args = { domain, name: options?.name ?? null, flags: flagBits(channelFlags, options) };
      return (await session.openStream(calls.domainOpenChannel, args, bothWays, options)).stream;
    },

    /** Takes a picture of a screen. QEMU gives `image/x-portable-pixmap` or `image/png`, by version. */
    async screenshot(
      domain: DomainRef,
      options?: { screen?: number } & CallOptions,
    ): Promise<{ mimeType: string; stream: Readable }> {
      const args = { domain, screen: options?.screen ?? 0, flags: 0 };
      const { answer, stream } = await session.openStream(calls.domainScreenshot, args, download, options);
      return { mimeType: answer.mimeType ?? 'application/octet-stream', stream };
    },
  };
}
