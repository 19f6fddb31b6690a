// Subscriptions to libvirt's events on one connection. Owns the registration at the server: one per kind of event, made
// for the first listener and undone after the last. Listeners run in the order in which events came over the wire, and
// before the answer of any call that the server sent later.
import type { Procedure } from '../protocol/procedure.ts';
import type { XdrReader } from '../xdr/reader.ts';
import type { Type } from '../xdr/schema.ts';
import type { CallOptions } from './call-table.ts';

/** A kind of event: how to ask for it and how it reads on the wire. */
export interface EventKind<M> {
  readonly name: string;
  readonly program: number;
  /** Procedure number of the event's messages. */
  readonly number: number;
  readonly message: Type<M>;
  /** Registers for the kind; the answer names the registration. */
  readonly register: Procedure<unknown, { callbackId: number }>;
  readonly registerArgs: unknown;
  readonly deregister: Procedure<{ callbackId: number }, void>;
}

export interface Subscription extends AsyncDisposable {
  /** Stops delivery at once; resolves when libvirt was told. Idempotent; a lost connection is no error. */
  unsubscribe(): Promise<void>;
}

type Caller = <A, R>(procedure: Procedure<A, R>, args: A, options?: CallOptions) => Promise<R>;

interface Registration {
  readonly kind: EventKind<unknown>;
  readonly listeners: Set<(message: unknown) => void>;
  callbackId: number | undefined;
  /** Registering and deregistering one after the other. */
  busy: Promise<void>;
}

export class EventHub {
  private readonly call: Caller;
  private readonly registrations = new Map<string, Registration>();

  constructor(call: Caller) {
    this.call = call;
  }

  async subscribe<M>(kind: EventKind<M>, listener: (message: M) => void, options?: CallOptions): Promise<Subscription> {
    const key = keyOf(kind.program, kind.number);
    let registration = this.registrations.get(key);
    if (registration === undefined) {
      registration = {
        kind: kind as EventKind<unknown>,
        listeners: new Set(),
        callbackId: undefined,
        busy: Promise.resolve(),
      };
      this.registrations.set(key, registration);
    }
    const { listeners } = registration;
    // A wrapper of its own, so that one function may listen twice.
    const deliver = (message: unknown): void => listener(message as M);
    listeners.add(deliver);
    try {
      await this.settle(registration, options);
    } catch (error) {
      listeners.delete(deliver);
      throw error;
    }
    const unsubscribe = async (): Promise<void> => {
      if (!listeners.delete(deliver)) return;
      await this.settle(registration).catch(() => undefined);
    };
    return { unsubscribe, [Symbol.asyncDispose]: unsubscribe };
  }

  /** An event message came. Kinds nobody listens to are dropped unread. */
  deliver(program: number, number: number, reader: XdrReader): void {
    const registration = this.registrations.get(keyOf(program, number));
    if (registration === undefined || registration.listeners.size === 0) return;
    const message = registration.kind.message.decode(reader);
    reader.expectEnd();
    for (const listener of [...registration.listeners]) {
      try {
        listener(message);
      } catch (error) {
        // A bug in the listener is the program's, not the connection's: it surfaces as an uncaught exception.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }

  private settle(registration: Registration, options?: CallOptions): Promise<void> {
    const run = registration.busy.then(async () => {
      const { kind, listeners, callbackId } = registration;
      if (listeners.size > 0 && callbackId === undefined) {
        registration.callbackId = (await this.call(kind.register, kind.registerArgs, options)).callbackId;
      } else if (listeners.size === 0 && callbackId !== undefined) {
        registration.callbackId = undefined;
        await this.call(kind.deregister, { callbackId });
      }
    });
    registration.busy = run.catch(() => undefined);
    return run;
  }
}

const keyOf = (program: number, number: number): string => `${program}:${number}`;
