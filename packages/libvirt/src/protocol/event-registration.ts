// How events of each sort of object are asked for. All sorts share one pair of shapes on the wire; we never name an
// object, but register for all of them and let listeners choose.
import type { EventKind } from '../connection/event-hub.ts';
import { remoteProgram } from '../wire/message.ts';
import { int, nothing, optional, struct, type Type } from '../xdr/schema.ts';
import { type Procedure, remote } from './procedure.ts';

const registerArgs = struct({ eventId: int, object: optional(nothing) });
const registered = struct({ callbackId: int });

/** The pair of procedures that registers for one sort of object. */
export interface EventFamily {
  register: Procedure<unknown, { callbackId: number }>;
  deregister: Procedure<{ callbackId: number }, void>;
}

function family(noun: string, registerNumber: number, deregisterNumber: number): EventFamily {
  return {
    register: remote(
      registerNumber,
      `connect${noun}EventRegister`,
      registerArgs,
      registered,
    ) as EventFamily['register'],
    deregister: remote(deregisterNumber, `connect${noun}EventDeregister`, registered),
  };
}

export const domainEvents = family('Domain', 316, 317);
export const networkEvents = family('Network', 313, 314);
export const storagePoolEvents = family('StoragePool', 368, 369);
export const nodeDeviceEvents = family('NodeDevice', 374, 375);
export const secretEvents = family('Secret', 380, 381);

/** Declares one kind of event: its id at registration, and the number and shape of its messages. */
export function eventKind<M>(
  { register, deregister }: EventFamily,
  name: string,
  eventId: number,
  number: number,
  message: Type<M>,
): EventKind<M> {
  const args = { eventId, object: null };
  return { name, program: remoteProgram, number, message, register, registerArgs: args, deregister };
}
