// Every error this package throws. Callers branch on the class and on `code`, never on the text. The text says what
// went wrong and, where a person can do something about it, what to do.
import {
  errorCodeName,
  errorDomainName,
  errorLevelName,
  type LibvirtErrorCode,
  type LibvirtErrorDomain,
  type LibvirtErrorLevel,
} from './protocol/error-names.ts';

/** What libvirt sent with an error, as on the wire. */
export interface LibvirtErrorDetails {
  code: number;
  domain: number;
  message: string | null;
  level: number;
  object: { name: string; uuid: string; id: number } | null;
  string1: string | null;
  string2: string | null;
  string3: string | null;
  int1: number;
  int2: number;
  network: { name: string; uuid: string } | null;
}

/** libvirt answered a call with an error. `code` is the name to branch on, e.g. `error.code === 'NO_DOMAIN'`. */
export class LibvirtError extends Error {
  override readonly name = 'LibvirtError';
  readonly code: LibvirtErrorCode;
  readonly codeNumber: number;
  readonly domain: LibvirtErrorDomain;
  readonly level: LibvirtErrorLevel;
  /** Name of the call that failed, e.g. `domainCreate`. */
  readonly procedure: string;
  readonly string1: string | undefined;
  readonly string2: string | undefined;
  readonly string3: string | undefined;
  readonly int1: number;
  readonly int2: number;

  constructor(procedure: string, details: LibvirtErrorDetails) {
    super(details.message ?? `libvirt gave no message (error ${details.code})`);
    this.procedure = procedure;
    this.codeNumber = details.code;
    this.code = errorCodeName(details.code);
    this.domain = errorDomainName(details.domain);
    this.level = errorLevelName(details.level);
    this.string1 = details.string1 ?? undefined;
    this.string2 = details.string2 ?? undefined;
    this.string3 = details.string3 ?? undefined;
    this.int1 = details.int1;
    this.int2 = details.int2;
  }
}

/** Why a connection could not be made. `SOCKET_MISSING` and `REFUSED`: the daemon does not run there. */
export type ConnectFailureReason =
  | 'SOCKET_MISSING'
  | 'PERMISSION_DENIED'
  | 'REFUSED'
  | 'TLS_REJECTED'
  | 'AUTH_UNSUPPORTED'
  | 'AUTH_DENIED'
  | 'TIMEOUT'
  | 'UNREACHABLE';

/** No connection was made; nothing was asked of libvirt. */
export class ConnectFailed extends Error {
  override readonly name = 'ConnectFailed';
  readonly reason: ConnectFailureReason;
  constructor(reason: ConnectFailureReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/**
 * The connection ended before the call was answered. `sent` false: libvirt never saw the call and it had no effect.
 * `sent` true: whether it took effect is unknown; look before asking again.
 */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
  readonly sent: boolean;
  constructor(message: string, sent: boolean, options?: ErrorOptions) {
    super(message, options);
    this.sent = sent;
  }
}

/** libvirt did not answer in time. `sent` as in {@link ConnectionLost}; the connection stays usable. */
export class CallTimeout extends Error {
  override readonly name = 'CallTimeout';
  readonly procedure: string;
  readonly timeoutMs: number;
  readonly sent: boolean;
  constructor(procedure: string, timeoutMs: number, sent: boolean) {
    super(
      sent
        ? `libvirt did not answer ${procedure} within ${timeoutMs} ms; it may still take effect`
        : `${procedure} waited ${timeoutMs} ms for earlier calls on this connection and was not sent`,
    );
    this.procedure = procedure;
    this.timeoutMs = timeoutMs;
    this.sent = sent;
  }
}

/** The peer broke the protocol: it is not libvirt, or a version this package does not understand. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** A value given to a call cannot be put on the wire (too long, out of range, malformed UUID). Nothing was sent. */
export class InvalidValue extends Error {
  override readonly name = 'InvalidValue';
}

/** An event iterator was read too slowly and events were dropped: list the objects again and start anew. */
export class EventsDropped extends Error {
  override readonly name = 'EventsDropped';
  constructor(capacity: number) {
    super(`more than ${capacity} events were waiting; later ones were dropped, so read the state anew`);
  }
}
