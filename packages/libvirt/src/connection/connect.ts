// The way in: opens a connection and hands out the calls by noun. Owns the defaults. Fails with ConnectFailed when the
// daemon cannot be reached or does not let us in, LibvirtError when it does not open the URI.
import { type Domains, domains } from '../api/domains.ts';
import { type Networks, networks } from '../api/networks.ts';
import { type Node, node } from '../api/node.ts';
import { type NodeDevices, nodeDevices } from '../api/node-devices.ts';
import { type Secrets, secrets } from '../api/secrets.ts';
import { type StoragePools, storagePools } from '../api/storage-pools.ts';
import { type Volumes, volumes } from '../api/volumes.ts';
import type { KeepaliveOptions } from './keepalive.ts';
import { Session } from './session.ts';
import { defaultSocketPath, type Transport } from './transport.ts';

export interface ConnectOptions {
  /** How to reach the daemon; default the unix socket on this host for the URI: see {@link defaultSocketPath}. */
  transport?: Transport | undefined;
  /** What to open there; default `qemu:///system`. */
  uri?: string | undefined;
  /** Only calls that change nothing; needs fewer rights. */
  readOnly?: boolean | undefined;
  /** Deadline of a call that names none; default 30_000. */
  callTimeoutMs?: number | undefined;
  /** The same for calls that may rightly take minutes (start, save, copy ...); default 600_000. */
  slowCallTimeoutMs?: number | undefined;
  /** Deadline of dialling, authenticating and opening together; default 30_000. */
  connectTimeoutMs?: number | undefined;
  /** When a silent peer is taken for dead; default 5 pings, 5000 ms apart. */
  keepalive?: KeepaliveOptions | undefined;
  /**
   * Calls sent before the answer to the first has come; default 5, libvirtd's `max_client_requests`. More wait here,
   * within their deadline.
   */
  maxInFlight?: number | undefined;
  /** Gives up connecting. */
  signal?: AbortSignal | undefined;
}

export interface Connection extends AsyncDisposable {
  readonly domains: Domains;
  readonly networks: Networks;
  readonly storagePools: StoragePools;
  readonly volumes: Volumes;
  readonly secrets: Secrets;
  readonly nodeDevices: NodeDevices;
  readonly node: Node;
  /** Resolves when the connection has ended: undefined after `close`, else the reason. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  /** Ends the connection; calls under way fail with ConnectionLost, streams break off. Idempotent. */
  close(): Promise<void>;
}

/**
 * Connects to libvirt and opens a hypervisor.
 * @throws ConnectFailed nothing was opened; `reason` says why and the message what to do
 * @throws LibvirtError libvirt refused to open the URI
 */
export async function connect(options: ConnectOptions = {}): Promise<Connection> {
  const { readOnly = false, callTimeoutMs = 30_000, connectTimeoutMs = 30_000 } = options;
  const uri = options.uri ?? 'qemu:///system';
  const transport = options.transport ?? { kind: 'unix', path: await defaultSocketPath(uri, readOnly) };
  const session = await Session.open(
    {
      transport,
      uri,
      readOnly,
      callTimeoutMs,
      slowCallTimeoutMs: options.slowCallTimeoutMs ?? 600_000,
      connectTimeoutMs,
      keepalive: options.keepalive ?? { intervalMs: 5000, count: 5 },
      maxInFlight: options.maxInFlight ?? 5,
    },
    options.signal,
  );
  return {
    domains: domains(session),
    networks: networks(session),
    storagePools: storagePools(session),
    volumes: volumes(session),
    secrets: secrets(session),
    nodeDevices: nodeDevices(session),
    node: node(session),
    closed: session.closed,
    close: () => session.close(),
    [Symbol.asyncDispose]: () => session.close(),
  };
}
