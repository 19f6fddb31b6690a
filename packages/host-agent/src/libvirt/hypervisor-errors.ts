// What libvirt or the way to it got wrong, as an error of the registry: by type and code, never by text. libvirt's own
// sentence is kept as the detail only where it refused something, because nothing better is known then.
import { constants } from 'node:os';
import { VirgaError } from '@virga/contract/errors';
import {
  CallTimeout,
  ConnectFailed,
  type ConnectFailureReason,
  ConnectionLost,
  LibvirtError,
  ProtocolError,
} from '@virga/libvirt/errors';

const { errno } = constants;
const startDaemon =
  'Start libvirtd: systemctl start libvirtd, or on a machine without systemd: virtlogd -d && libvirtd -d';

const joinGroup =
  'Run Virga as root, or add its user to the group libvirt: usermod -aG libvirt USER, then log in again.';

/** The library's own sentences are for programmers who have nothing but them; which socket it was is in the log. */
const connectFailures: Record<ConnectFailureReason, { detail: string; action: string }> = {
  SOCKET_MISSING: {
    detail: 'libvirtd is not running, or its socket is not where Virga looks for it.',
    action: startDaemon,
  },
  REFUSED: { detail: 'libvirtd is not running: nothing listens on its socket.', action: startDaemon },
  PERMISSION_DENIED: { detail: 'Virga has no permission to open the socket of libvirtd.', action: joinGroup },
  AUTH_DENIED: { detail: 'libvirtd does not let Virga in.', action: joinGroup },
  AUTH_UNSUPPORTED: {
    detail: 'libvirtd asks for a kind of authentication that Virga does not have.',
    action: 'Set auth_unix_rw = "none" in /etc/libvirt/libvirtd.conf and restart libvirtd.',
  },
  TIMEOUT: {
    detail: 'libvirtd does not answer.',
    action: 'It is stuck or overloaded: see its log, and restart it. Guests go on.',
  },
  TLS_REJECTED: {
    detail: 'Virga and libvirtd do not trust each other.',
    action: 'Check the certificates on both sides.',
  },
  UNREACHABLE: {
    detail: 'libvirtd cannot be reached.',
    action: 'Check that libvirtd runs and that its socket is where it should be.',
  },
};

/**
 * The error to hand on. Errors of the registry and what is none of libvirt's pass through unchanged.
 * @param what was being done, to follow "could not", such as "start i-0123"
 */
export function hypervisorError(error: unknown, what: string): unknown {
  if (error instanceof VirgaError) return error;
  if (error instanceof ConnectFailed) {
    const { detail, action } = connectFailures[error.reason];
    return unavailable(detail, action, error);
  }
  if (error instanceof ConnectionLost || error instanceof CallTimeout) {
    return unavailable(
      `libvirt did not answer while Virga wanted to ${what}.`,
      'Nothing, if it comes back; it is tried again. Otherwise see the log of libvirtd.',
      error,
    );
  }
  if (error instanceof ProtocolError) {
    return unavailable(
      'What answers on the libvirt socket does not speak its protocol.',
      'Check the socket path, and that libvirt is version 8 or later.',
      error,
    );
  }
  if (error instanceof LibvirtError) return refusal(error, what);
  return error;
}

/** True when libvirt answered with that code. */
export function isLibvirtError(error: unknown, ...codes: LibvirtError['code'][]): boolean {
  return error instanceof LibvirtError && codes.includes(error.code);
}

/** True when work was cut short and may be gone on with: what it made so far is to stay. */
export function isInterruption(error: unknown): boolean {
  if (error instanceof VirgaError) return error.code === 'HostUnavailable' || error.code === 'GuestUnavailable';
  return error instanceof ConnectFailed || error instanceof ConnectionLost || error instanceof CallTimeout;
}

/** Waits for an answer; these refusals are as good as one. */
export async function tolerate(answer: Promise<unknown>, ...codes: LibvirtError['code'][]): Promise<void> {
  try {
    await answer;
  } catch (error) {
    if (!isLibvirtError(error, ...codes)) throw error;
  }
}

function refusal(error: LibvirtError, what: string): VirgaError {
  const detail = `libvirt could not ${what}: ${sentence(error.message)}`;
  switch (error.code) {
    case 'NO_DOMAIN':
    case 'NO_NETWORK':
      return new VirgaError('NotFound', {
        detail,
        action: 'Look at what is on the host: virsh list --all, virsh net-list --all',
        cause: error,
      });
    case 'OPERATION_INVALID':
      return new VirgaError('Conflict', {
        detail,
        action: 'Look at the state it is in, then try again.',
        cause: error,
      });
    case 'OPERATION_TIMEOUT':
    case 'RESOURCE_BUSY':
      return unavailable(detail, 'Nothing: it is busy with other work and is tried again.', error);
    case 'AUTH_FAILED':
    case 'ACCESS_DENIED':
    case 'OPERATION_DENIED':
      return unavailable(detail, joinGroup, error);
    case 'NO_CONNECT':
    case 'INVALID_CONN':
    case 'RPC':
      return unavailable(detail, startDaemon, error);
    case 'SYSTEM_ERROR':
      return systemRefusal(error, detail);
    default:
      return new VirgaError('HypervisorRefused', {
        detail,
        action: 'See the log of libvirtd and /var/log/libvirt/qemu on the host.',
        cause: error,
      });
  }
}

/** libvirt passes the number of a failed system call on. */
function systemRefusal(error: LibvirtError, detail: string): VirgaError {
  switch (error.int1) {
    case errno.ENOSPC:
    case errno.EDQUOT:
      return new VirgaError('StorageFull', { detail, action: 'Make room on the storage of the host.', cause: error });
    case errno.EBUSY:
    case errno.EAGAIN:
    case errno.EINTR:
      return unavailable(detail, 'Nothing: it is tried again.', error);
    default:
      return new VirgaError('HypervisorRefused', {
        detail,
        action: 'See the log of libvirtd on the host.',
        cause: error,
      });
  }
}

function unavailable(detail: string, action: string, cause: unknown): VirgaError {
  return new VirgaError('HostUnavailable', { detail, action, cause });
}

/** First line of a message, as a sentence. QEMU's own words come after libvirt's on further lines. */
function sentence(message: string): string {
  const line = message
    .split('\n')
    .map((part) => part.trim())
    .filter(Boolean)
    .slice(0, 2)
    .join(' ');
  return /[.!?]$/.test(line) ? line : `${line}.`;
}
