// The agent's way to libvirt. Owns the connections: one for questions, so that they never wait behind slow calls, and a
// few for acts, because libvirt works on five calls of a connection at a time. Connects when first needed and again after
// a loss. Fails with errors of the registry.
import { VirgaError } from '@virga/contract/errors';
import { type Connection, type ConnectOptions, connect } from '@virga/libvirt/connection/connect';
import { hypervisorError } from './hypervisor-errors.ts';

export type HypervisorAddress = { uri?: string | undefined; socketPath?: string | undefined };

/** Ten starts at once: more than a host of ordinary size can do. */
const actConnections = 2;
/** Guests that do not answer keep calls for seconds: those of ten of them hold nobody else up. */
const guestConnections = 2;

type Slot = { connection: Promise<Connection> | undefined; inUse: number };

export class Hypervisor {
  private readonly address: HypervisorAddress;
  private readonly questions: Slot = { connection: undefined, inUse: 0 };
  private readonly acts: Slot[] = Array.from({ length: actConnections }, () => ({ connection: undefined, inUse: 0 }));
  private readonly guests: Slot[] = Array.from({ length: guestConnections }, () => ({
    connection: undefined,
    inUse: 0,
  }));
  private closed = false;

  constructor(address: HypervisorAddress) {
    this.address = address;
  }

  /** Asks short questions. @param what see {@link hypervisorError} */
  ask<T>(what: string, work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.use(this.questions, what, work);
  }

  /** Does what may take seconds: starts, stops, changes. */
  act<T>(what: string, work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.use(leastBusy(this.acts), what, work);
  }

  /** Reaches into a guest, which may take its time to answer. */
  reach<T>(what: string, work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.use(leastBusy(this.guests), what, work);
  }

  /** A connection of the caller's own, to listen on. It closes it. */
  async dial(options: Pick<ConnectOptions, 'signal' | 'keepalive' | 'connectTimeoutMs'> = {}): Promise<Connection> {
    try {
      return await this.connect(options);
    } catch (error) {
      throw hypervisorError(error, 'connect');
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    const open = [this.questions, ...this.acts, ...this.guests].flatMap((slot) => slot.connection ?? []);
    await Promise.all(open.map((connection) => connection.then((it) => it.close()).catch(() => undefined)));
  }

  private async use<T>(slot: Slot, what: string, work: (connection: Connection) => Promise<T>): Promise<T> {
    slot.inUse++;
    try {
      return await work(await this.connectionOf(slot));
    } catch (error) {
      throw hypervisorError(error, what);
    } finally {
      slot.inUse--;
    }
  }

  private connectionOf(slot: Slot): Promise<Connection> {
    if (slot.connection !== undefined) return slot.connection;
    const connection = this.connect({});
    slot.connection = connection;
    const forget = () => {
      if (slot.connection === connection) slot.connection = undefined;
    };
    connection.then((it) => it.closed.then(forget), forget);
    return connection;
  }

  private async connect(
    options: Pick<ConnectOptions, 'signal' | 'keepalive' | 'connectTimeoutMs'>,
  ): Promise<Connection> {
    if (this.closed) {
      const action = 'Nothing: it is tried again when the agent runs.';
      throw new VirgaError('HostUnavailable', { detail: 'The host agent was stopped.', action });
    }
    const { uri, socketPath } = this.address;
    const connection = await connect({
      ...options,
      uri,
      transport: socketPath === undefined ? undefined : { kind: 'unix', path: socketPath },
    });
    if (this.closed) await connection.close();
    return connection;
  }
}

const leastBusy = (slots: Slot[]): Slot => slots.reduce((best, slot) => (slot.inUse < best.inUse ? slot : best));
